"""A model as the BioImage Model Zoo understands it (bioimage.io, model description 0.5): a folder around its ONNX file.

``rdf.yaml`` says what goes in and out: axes, sizes, how values of image files become those of the network and back.
Beside it lie the file, test tensors with the outputs that belong to them, and a page; ``bioimageio test FOLDER`` runs
them. The encoder has no place there.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tandem.checkpoint.manifest import Manifest, sha256_of
from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec
from tandem.data.levels import Levels
from tandem.errors import ConfigError
from tandem.files import atomic_write_bytes, atomic_write_text
from tandem.inference.exported import Exported
from tandem.inference.onnx.export import export_onnx
from tandem.inference.onnx.graph import OPSET
from tandem.inference.onnx.load import load_onnx
from tandem.inference.proof import proven_size
from tandem.prior.distributions import NormalPrior

FORMAT = "0.5.4"
DESCRIPTION_NAME, PAGE_NAME, WEIGHTS_NAME = "rdf.yaml", "README.md", "model.onnx"
MOST_OF_NAME = 128
UNKNOWN = "unknown"
_LICENCES: Mapping[str, str] = {
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "mit": "MIT",
}
"""From the identifiers of the Hub to those of SPDX, which bioimage.io asks for."""
_COLOURS: Mapping[int, Sequence[str]] = {
    1: ("grey",),
    3: ("red", "green", "blue"),
    4: ("red", "green", "blue", "alpha"),
}


def export_bioimageio(model: Path, out: Path, *, name: str, licence: str, storage: Storage = "fp32") -> list[Exported]:
    """Write the folder.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The folder, which is there.
        name: What the model is called.
        licence: Of the weights, one of `_LICENCES`, or ``unknown``.
        storage: How weights are stored.

    Returns:
        The ONNX file, and how far it is from PyTorch.

    Raises:
        BundleError: There is no model, it is damaged, or the file would be another than PyTorch's network.
        ConfigError: It translates in both directions, or samples with dropout, or the licence is none of these.
    """
    if licence != UNKNOWN and licence not in _LICENCES:
        raise ConfigError(
            f"--licence {licence}: with --to bioimageio it is one of {', '.join(_LICENCES)}; for another one write "
            "'license' into rdf.yaml.",
            option="--licence",
        )
    written = [one for one in export_onnx(model, out / WEIGHTS_NAME, storage=storage) if one.network != "encoder"]
    if len(written) != 1:
        for one in written:
            one.path.unlink()
        raise ConfigError(
            "this model translates in both directions, and a model of bioimage.io in one: give a model of one "
            "direction, or take --to onnx, which writes a file for each."
        )
    (out / WEIGHTS_NAME).with_name("model.encoder.onnx").unlink(missing_ok=True)
    manifest, engine, prior = load_onnx(out / WEIGHTS_NAME, device="cpu")
    spec = manifest.networks["generator"]
    assert isinstance(spec, GeneratorSpec)
    height, width = proven_size(spec, manifest.preprocessing.size)
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (1, spec.in_channels, height, width)).astype(np.float32)
    z = (prior or NormalPrior(spec.latent_dim)).sample(1, seed=0).astype(np.float32)
    tensors = {"image": image, "output": engine.generate("generator", image, z, None)}
    levels = {"image": manifest.preprocessing.input_levels, "output": manifest.preprocessing.output_levels}
    tensors = {name: _values(levels[name], array) for name, array in tensors.items()}
    if spec.latent_dim:
        tensors["z"] = z
    for tensor, array in tensors.items():
        atomic_write_bytes(out / _file(tensor), _as_npy(array))
    atomic_write_text(out / PAGE_NAME, _page(manifest, name))
    described = _description(out, manifest, spec)
    told = re.sub(r"[^A-Za-z0-9 +_().-]", "-", f"Tandem {name}")[:MOST_OF_NAME]  # of five characters at least
    described |= {"name": told} | ({} if licence == UNKNOWN else {"license": _LICENCES[licence]})
    atomic_write_text(out / DESCRIPTION_NAME, yaml.safe_dump(described, sort_keys=False, allow_unicode=True))
    return written


def _description(out: Path, manifest: Manifest, spec: GeneratorSpec) -> dict[str, Any]:
    """All but the name and the licence."""
    images = manifest.preprocessing
    inputs = [
        {
            "id": "image",
            "description": f"values in [-1, 1] after preprocessing; sides are multiples of {spec.size_multiple} px"
            + _told(images.input_levels),
            "axes": _axes(spec.in_channels, _free(spec)),
            "data": {"type": "float32"},
            "preprocessing": [_scaling(images.input_levels, spec.in_channels, inverse=False)],
            "test_tensor": _tensor(out, "image"),
        }
    ]
    if spec.latent_dim:
        names = [f"z{index}" for index in range(spec.latent_dim)]
        inputs.append(
            {
                "id": "z",
                "description": "the latent that decides which of the possible outputs comes out",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": names}],
                "data": {"type": "float32"},
                "test_tensor": _tensor(out, "z"),
            }
        )
    output = {
        "id": "output",
        "description": "the image that belongs to the input" + _told(images.output_levels),
        "axes": _axes(spec.out_channels, {side: {"size": {"tensor_id": "image", "axis_id": side}} for side in "yx"}),
        "data": {"type": "float32"},
        "postprocessing": [_scaling(images.output_levels, spec.out_channels, inverse=True)],
        "test_tensor": _tensor(out, "output"),
    }
    return {
        "format_version": FORMAT,
        "type": "model",
        "description": f"Image-to-image translation with a {manifest.method} model of Tandem",
        "authors": [{"name": "unknown"}],
        "cite": [{"text": "Tandem", "url": "https://doi.org/10.48550/arXiv.1711.11586"}],
        "tags": ["image-to-image", manifest.method],
        "documentation": PAGE_NAME,
        "inputs": inputs,
        "outputs": [output],
        "weights": {"onnx": {**_tensor(out, WEIGHTS_NAME), "opset_version": OPSET}},
    }


def _axes(channels: int, sides: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = list(_COLOURS.get(channels, [f"channel{index}" for index in range(channels)]))
    space = [{"type": "space", "id": side, **size} for side, size in sides.items()]
    return [{"type": "batch"}, {"type": "channel", "channel_names": names}, *space]


def _free(spec: GeneratorSpec) -> dict[str, dict[str, Any]]:
    """Sides of any size that the network takes."""
    smallest = -(-spec.smallest_side // spec.size_multiple) * spec.size_multiple
    return {side: {"size": {"min": smallest, "step": spec.size_multiple}} for side in "yx"}


def _scaling(levels: Levels, channels: int, *, inverse: bool) -> dict[str, Any]:
    """From the values of image files to [-1, 1], or back."""
    low, high = _ends(levels)
    half = (high - low) / 2
    gain, offset = (half, low + half) if inverse else (1 / half, -low / half - 1)
    given = {"gain": gain.tolist(), "offset": offset.tolist()}
    if len(low) == channels > 1:
        return {"id": "scale_linear", "kwargs": {"axis": "channel", **given}}
    return {"id": "scale_linear", "kwargs": {key: value[0] for key, value in given.items()}}


def _values(levels: Levels, array: np.ndarray) -> np.ndarray:
    low, high = (end.reshape(-1, 1, 1) for end in _ends(levels))
    return (low + (array.astype(np.float64) + 1) / 2 * (high - low)).astype(np.float32)


def _ends(levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    if levels.classes is not None:  # a plane for each class
        return np.array([-1.0]), np.array([1.0])
    if levels.is_by_type:
        return np.zeros(1), np.array([float(np.iinfo(levels.type).max)])
    return np.array(levels.low), np.array(levels.high)


def _told(levels: Levels) -> str:
    """What the channels of a label map are."""
    if levels.classes is None:
        return ""
    names = ", ".join(one.name for one in levels.classes.classes)
    return f"; a label map, whose channels are 1 where a pixel is of the class and -1 elsewhere: {names}"


def _file(tensor: str) -> str:
    return f"test-{tensor}.npy"


def _tensor(out: Path, name: str) -> dict[str, str]:
    file = name if name == WEIGHTS_NAME else _file(name)
    return {"source": file, "sha256": sha256_of(out / file)}


def _as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _page(manifest: Manifest, name: str) -> str:
    return f"""# {name}

A model of the method {manifest.method}, written by Tandem {manifest.tandem_version}.
{manifest.preprocessing.describe("auto").capitalize()}.

What it is for, and where it fails, is to be written here by whoever shares it.

# Validation

`bioimageio test` compares the outputs of the test tensors. Measured quality is to be written here: `tandem evaluate`.
"""
