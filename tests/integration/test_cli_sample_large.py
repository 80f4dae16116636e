"""``tandem sample`` with large images: tiles, their progress, and what the process holds at most."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ENVIRONMENT, pixels, records_of, sample, tandem

MakeBundle = Callable[..., Path]

PEAK = """
import sys
from tandem.cli import main
status = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
sys.exit(status)
"""


def photo(path: Path, height: int, width: int) -> Path:
    small = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def test_tiles_and_whole_images_are_the_same(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """With a word on the tile at work; by itself where the memory is too little."""
    model = make_bundle(generator={"latent_dim": 2, "depth": 4, "filters": 8})
    image = photo(tmp_path / "photo.png", 300, 421)
    made = {}
    for name, words in {
        "whole": ["--tile", "0"],
        "small": ["--memory-gb", "0.006"],
        "tiles": ["--tile", "64"],
        "exact": ["--max-batch", "1"],
    }.items():
        finished = sample(model, image, "--num-samples", "2", *words, out=tmp_path / name)
        assert ("tile 1 of " in finished.err) == (name in {"small", "tiles"})
        (record,) = records_of(tmp_path / name)[1:]
        made[name] = np.stack([pixels(tmp_path / name / shot["file"]) for shot in record["series"][0]["samples"]])
    for one in made.values():
        assert np.abs(one.astype(int) - made["whole"]).max() <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_is_bounded(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """Of a network that takes a quarter of a GiB more for the whole image; each call in a process of its own."""
    model = make_bundle(generator={"latent_dim": 2, "depth": 4, "filters": 64})
    image = photo(tmp_path / "photo.png", 700, 1000)
    peaks = {}
    for name, words in {"whole": ["--tile", "0"], "tiles": ["--memory-gb", "0.1"]}.items():
        arguments = ["sample", str(model), str(image), "--out", str(tmp_path / name), "--num-samples", "1"]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *arguments, "--device", "cpu", *words],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            check=True,
        )
        peaks[name] = int(done.stdout.split()[-1]) / 2**10
    assert peaks["whole"] - peaks["tiles"] > 200, peaks


def test_options_are_checked(make_bundle: MakeBundle, tmp_path: Path) -> None:
    image = photo(tmp_path / "photo.png", 32, 32)
    for words, message in [
        (["--tile", "3"], "tile must be auto, 0 (never in tiles) or at least 16 px, not 3"),
        (["--memory-gb", "-1"], "--memory-gb must be above 0, not -1.0"),
        (["--engine", "onnx", "--compile"], "--compile has no effect with --engine onnx"),
    ]:
        out = tmp_path / "out"
        refused = tandem("sample", str(make_bundle()), str(image), "--out", str(out), "--device", "cpu", *words)
        assert refused.status == 2
        assert message in refused.err
        assert not out.exists()
