"""Files that commands of the campaign start from, beside its dataset and its run."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pydicom.data
import torch
from PIL import Image

from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import EncoderSpec, UNetSpec
from tandem.networks.build import build_network


def save_official(paths: list[Path]) -> None:
    """Weights as the official code saves them."""
    torch.manual_seed(0)
    specs = (
        UNetSpec(in_channels=3, out_channels=3, latent_dim=4, depth=5, filters=4),
        EncoderSpec(in_channels=3, latent_dim=4, depth=2, filters=4),
    )
    for path, spec in zip(paths, specs, strict=True):
        state = build_network(spec).state_dict()
        keys = official_key_map(spec, list(state))
        torch.save({keys[ours]: value for ours, value in state.items()}, path)


def save_masked(folder: Path) -> None:
    """Pairs of grey images in two folders, and a mask of each pair."""
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for side, values in (("A", (0, 256)), ("B", (0, 256)), ("M", (0, 2))):
            (folder / f"{split}{side}").mkdir(parents=True, exist_ok=True)
            for index in range(3):
                pixels = draws.integers(*values, (32, 32), dtype=np.uint8) * (255 if side == "M" else 1)
                Image.fromarray(pixels).save(folder / f"{split}{side}" / f"{index}.png")


def save_key(path: Path) -> None:
    """A private key to sign with, as ``openssl ecparam -genkey`` makes one."""
    if shutil.which("openssl") is None:
        raise RuntimeError("the campaign needs openssl, to make a key")
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)], check=True)


def zip_facades(data: Path, archive: Path) -> None:
    """An archive as the catalogue's server has it, with few images."""
    folder = archive.parent / "facades"
    for split in ("train", "val", "test"):
        shutil.copytree(data / split, folder / "facades" / split, dirs_exist_ok=True)
    shutil.make_archive(str(archive.with_suffix("")), "zip", folder)


def save_scans(folder: Path) -> None:
    """Pairs of computed tomographies in two folders, two of the same that pydicom brings."""
    scan = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    for side in "AB":
        (folder / f"train{side}").mkdir(parents=True, exist_ok=True)
        for index in range(2):
            shutil.copy(str(scan), folder / f"train{side}" / f"{index}.dcm")


def save_clip(path: Path) -> None:
    """A video of twelve frames, over which a block moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for index in range(12):
            pixels = np.full((32, 32, 3), 90, np.uint8)
            pixels[8:24, index : index + 8] = 240
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def frames_of(path: Path) -> list[tuple[int, int, int | None]]:
    """Height, width and time of each frame of a video."""
    with av.open(str(path)) as container:
        return [(frame.height, frame.width, frame.pts) for frame in container.decode(video=0)]
