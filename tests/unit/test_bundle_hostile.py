"""Damaged and hostile model bundles: each one refused with a message, quickly, without much memory."""

import hashlib
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from preprocessing import preprocessing
from tandem.checkpoint.bundle import load_bundle, save_bundle
from tandem.checkpoint.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest, read_manifest
from tandem.config.specifications import EncoderSpec, UNetSpec
from tandem.errors import BundleError
from tandem.inference.translator import load
from tandem.networks.build import build_network

MakeBundle = Callable[..., Path]
needs_pipes = (pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name"), pytest.mark.timeout(30))


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))


def weights_of(folder: Path) -> Path:
    return folder / manifest_of(folder)["weights"]["file"]


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = manifest_of(folder)
    change(values)
    (folder / MANIFEST_NAME).write_text(json.dumps(values), encoding="utf-8")


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Other weights under a right name with a right hash, as somebody hostile would write them."""
    tensors = load_file(weights_of(folder))
    change(tensors)
    save_file(tensors, folder / "new")
    digest = hashlib.sha256((folder / "new").read_bytes()).hexdigest()
    name = f"weights-{digest[:16]}.safetensors"
    (folder / "new").rename(folder / name)
    rewrite(folder, lambda values: values.update(weights={"file": name, "sha256": digest}))


def put(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for key in path[:-1]:
            values = values[key]
        del values[path[-1]]

    return change


def add_network(**spec: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["networks"].update(other=spec)


HUGE = 10**9
HOSTILE = [
    (put("../weights-0123456789abcdef.safetensors", "weights", "file"), "names no valid file of weights"),
    (put("/etc/passwd", "weights", "file"), "names no valid file of weights"),
    (put("a/weights-0123456789abcdef.safetensors", "weights", "file"), "names no valid file of weights"),
    (put("weights-0123456789abcdef.safetensors\n", "weights", "file"), "names no valid file of weights"),
    (put("model.json", "weights", "file"), "names no valid file of weights"),
    (put(None, "weights"), "names no valid file of weights"),
    (drop("weights"), "names no valid file of weights"),
    (put("weights-0123456789abcdef.safetensors", "weights", "file"), "are missing: copy the whole folder"),
    (put("0" * 64, "weights", "sha256"), "are damaged: their SHA-256 is not the one"),
    (put(5, "weights", "sha256"), "weights"),
    (put(HUGE, "networks", "generator", "depth"), "depth must be from 1 to 12, not 1000000000"),
    (put(HUGE, "networks", "generator", "filters"), "filters must be from 1 to 4096"),
    (put(10**30, "networks", "generator", "filters"), "filters must be at most"),
    (put(-1, "networks", "generator", "latent_dim"), "latent_dim must be from 0"),
    (put(0, "networks", "encoder", "depth"), "depth must be from 1"),
    (put(4096, "networks", "generator", "filters"), "specification of generator does not fit"),
    (put(12, "networks", "encoder", "depth"), "specification of encoder does not fit"),
    (put(3.0, "networks", "generator", "depth"), "depth must be int, not 3.0"),
    (put(True, "networks", "generator", "depth"), "depth must be int, not True"),
    (put("3", "networks", "generator", "depth"), "depth must be int, not '3'"),
    (put(float("nan"), "networks", "generator", "depth"), "depth must be int, not nan"),
    (
        put("transformer", "networks", "generator", "kind"),
        "kind must be one of unet, resnet, residual_unet, encoder",
    ),
    (put([], "networks", "generator", "kind"), "kind must be one of unet, resnet, residual_unet, encoder"),
    (put("layer", "networks", "generator", "norm"), "norm must be one of instance"),
    (drop("networks", "generator", "depth"), "networks.generator.depth is missing"),
    (put(1, "networks", "generator", "extra"), "networks.generator has unknown entries: extra"),
    (put([], "networks"), "networks must be a JSON object"),
    (put("unet", "networks", "generator"), "networks.generator"),
    (
        add_network(kind="patch_discriminator", in_channels=4096, filters=4096, layers=9, scales=5),
        "specification of other does not fit",
    ),
    (put(2, "format"), "has the bundle format 2, this version of Tandem reads format 1"),
    (drop("format"), "has the bundle format None"),
    (put(True, "format"), "format must be int"),
    (put(None, "preprocessing"), "preprocessing"),
    (put([64], "preprocessing", "size"), "size must have 2 entries"),
    (put([HUGE, HUGE], "preprocessing", "size"), "size must be from 1 to 4096 px"),
    (put([0, 64], "preprocessing", "size"), "size must be from 1 to 4096 px"),
    (put(HUGE, "preprocessing", "input_channels"), "channels must be from 1 to 64"),
    (put(0, "preprocessing", "output_channels"), "channels must be from 1 to 64"),
    (put([0.0, 1.0], "preprocessing", "value_range"), "value_range must be"),
    (put([float("nan"), 1.0], "preprocessing", "value_range"), "value_range"),
    (drop("preprocessing", "preprocess"), "does not say what training did to the sizes of images"),
    (drop("preprocessing", "input_sizes"), "preprocessing.input_sizes is missing"),
    (put("stretch", "preprocessing", "preprocess"), "preprocess must be one of resize_and_crop, crop"),
    (put("resize_and_crop", "preprocessing", "preprocess"), "do not go with preprocess resize_and_crop"),
    (put(64, "preprocessing", "load_width"), "do not go with preprocess crop"),
    (put(0, "preprocessing", "output_sizes", "min_width"), "output_sizes must be positive"),
    (put(float("nan"), "preprocessing", "input_sizes", "min_aspect"), "min_aspect"),
    (put("CtoD", "preprocessing", "direction"), "direction must be one of AtoB, BtoA"),
    (put("x" * 100_000, "method"), "method must be str"),
    (drop("method"), "method is missing"),
    (put("x", "surprise"), "unknown entries: surprise"),
    (put([], "training"), "training must be a JSON object"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_manifests_are_refused(
    make_bundle: MakeBundle, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    folder = make_bundle()
    rewrite(folder, change)
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(folder)
    assert time.monotonic() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[]", "must be a JSON object, not list"),
        (b'"text"', "must be a JSON object, not str"),
        (b"[" * 500_000, "cannot be read"),
        (b'{"training": ' * 100_000 + b"1" + b"}" * 100_000, "cannot be read"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "cannot be read"),
        (b'{"format": 1}' + b" " * MAX_MANIFEST_BYTES, "is larger than 4194304 bytes"),
    ],
)
def test_manifests_that_are_no_manifests(make_bundle: MakeBundle, content: bytes, message: str) -> None:
    folder = make_bundle()
    (folder / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BundleError, match=message):
        read_manifest(folder)


def truncate(folder: Path) -> None:
    path = weights_of(folder)
    path.write_bytes(path.read_bytes()[:-10])


def truncate_with_right_hash(folder: Path) -> None:
    content = weights_of(folder).read_bytes()[:-10]
    digest = hashlib.sha256(content).hexdigest()
    name = f"weights-{digest[:16]}.safetensors"
    (folder / name).write_bytes(content)
    rewrite(folder, put({"file": name, "sha256": digest}, "weights"))


def flip_one_bit(folder: Path) -> None:
    content = bytearray(weights_of(folder).read_bytes())
    content[-1] ^= 1
    weights_of(folder).write_bytes(content)


def remove_weights(folder: Path) -> None:
    weights_of(folder).unlink()


def folder_as_weights(folder: Path) -> None:
    path = weights_of(folder)
    path.unlink()
    path.mkdir()


def pipe_as_weights(folder: Path) -> None:
    path = weights_of(folder)
    path.unlink()
    os.mkfifo(path)


def other_shape(folder: Path) -> None:
    rewrite_weights(folder, put(torch.zeros(5), "generator.down.0.conv.bias"))


def one_missing(folder: Path) -> None:
    rewrite_weights(folder, drop("generator.down.0.conv.bias"))


def one_too_many(folder: Path) -> None:
    rewrite_weights(folder, put(torch.zeros(5), "generator.down.0.conv.extra"))


def of_type(dtype: torch.dtype) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        key = "generator.down.0.conv.weight"
        rewrite_weights(folder, lambda tensors: tensors.update({key: tensors[key].to(dtype)}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "are damaged: their SHA-256"),
        (flip_one_bit, "are damaged: their SHA-256"),
        (truncate_with_right_hash, "cannot be read"),
        (remove_weights, "are missing: copy the whole folder"),
        (folder_as_weights, "are missing"),
        pytest.param(pipe_as_weights, "are missing", marks=needs_pipes),
        (other_shape, "specification of generator does not fit.*size mismatch"),
        (one_missing, "specification of generator does not fit.*[Mm]issing"),
        (one_too_many, "specification of generator does not fit.*[Uu]nexpected"),
        (of_type(torch.float64), "specification of generator does not fit.*float64"),
        (of_type(torch.float16), "specification of generator does not fit.*float16"),
        (of_type(torch.int32), "specification of generator does not fit"),
    ],
)
def test_damaged_weights_are_refused(make_bundle: MakeBundle, damage: Callable[[Path], None], message: str) -> None:
    folder = make_bundle()
    damage(folder)
    with pytest.raises(BundleError, match=f"(?s){message}"):
        load_bundle(folder)


def test_places_without_a_bundle(tmp_path: Path, make_bundle: MakeBundle) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x")
    for name, what in (
        ("nothing", "there is no such folder"),
        ("empty", "the folder holds no model.json"),
        ("file.txt", "that is a file"),
    ):
        with pytest.raises(BundleError, match=f"no model at .*{name}: {what}. Give the folder that training wrote"):
            load_bundle(tmp_path / name)
    with pytest.raises(BundleError, match="no model at"):
        load_bundle(weights_of(make_bundle()))


@pytest.mark.parametrize(
    "change",
    [
        put(1, "preprocessing", "input_channels"),
        put(1, "preprocessing", "output_channels"),
        lambda values: values["networks"].update(generator=values["networks"]["encoder"]),
        drop("networks", "generator"),
        put({}, "networks"),
    ],
)
def test_parts_that_do_not_belong_together(make_bundle: MakeBundle, change: Callable[[dict[str, Any]], None]) -> None:
    folder = make_bundle()
    rewrite(folder, change)
    with pytest.raises(BundleError):
        load(folder, device="cpu")


def test_an_encoder_of_another_code_is_refused(tmp_path: Path) -> None:
    specs = {
        "generator": UNetSpec(in_channels=3, out_channels=3, latent_dim=2, depth=3, filters=2),
        "encoder": EncoderSpec(in_channels=3, latent_dim=4, depth=2, filters=2),
    }
    manifest = Manifest(tandem_version="0", method="bicyclegan", networks=specs, preprocessing=preprocessing((16, 16)))
    save_bundle(tmp_path, manifest, {name: build_network(spec) for name, spec in specs.items()})
    with pytest.raises(BundleError, match="encoder"):
        load(tmp_path, device="cpu")


def test_a_pickle_is_never_opened(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """Weights in PyTorch's pickle format, under a right name with a right hash: refused, its code not run."""
    folder = make_bundle()

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "evil",))

    torch.save({"generator": Evil()}, folder / "x")
    digest = hashlib.sha256((folder / "x").read_bytes()).hexdigest()
    name = f"weights-{digest[:16]}.safetensors"
    (folder / "x").rename(folder / name)
    rewrite(folder, put({"file": name, "sha256": digest}, "weights"))
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(folder)
    assert not (tmp_path / "evil").exists()
