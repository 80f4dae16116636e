"""A model as a MONAI bundle: a folder that ``monai.bundle`` loads, and whose workflow translates a folder of images.

``configs/inference.json`` builds `tandem.inference.monai.network.MonaiGenerator`, so Tandem is needed beside MONAI,
which ``configs/metadata.json`` says. The weights, ``models/model.pt``, are a state dict that is read without running
code. A model of two directions becomes two bundles.
"""

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tandem.checkpoint.arrays import PRIOR_ARRAYS
from tandem.checkpoint.bundle import load_bundle
from tandem.checkpoint.manifest import Manifest, Preprocessing
from tandem.config.specifications import GeneratorSpec
from tandem.data.levels import Levels
from tandem.errors import ConfigError
from tandem.files import atomic_write_text
from tandem.inference.abilities import abilities_of
from tandem.inference.exported import Exported, Part, Reference, parts_of, write_all
from tandem.inference.monai.network import MonaiGenerator
from tandem.inference.proof import Proof
from tandem.prior.distributions import MixturePrior

TESTED = {"monai_version": "1.6.1", "numpy_version": "2.4.6", "pytorch_version": "2.13.0"}
IGNITE, NIBABEL = "0.5.5", "5.4.2"
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
WEIGHTS_NAME, CONFIG_NAME, METADATA_NAME = "models/model.pt", "configs/inference.json", "configs/metadata.json"
PAGE_NAME, LICENCE_NAME = "docs/README.md", "LICENSE"
_PICTURE_MODES: Mapping[int, str] = {1: "L", 3: "RGB"}
_DIRECTIONS: Mapping[str, str] = {"gen_ab": "AtoB", "gen_ba": "BtoA"}


def export_monai(model: Path, out: Path, *, name: str, licence: str) -> list[Exported]:
    """Write the bundle, or of a model of two directions ``AtoB`` and ``BtoA`` in the folder.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The folder, which is there.
        name: What the model is called.
        licence: Of the weights, by its identifier, or ``unknown``.

    Returns:
        The weights' files, and how far what MONAI builds of them is from the model.

    Raises:
        BundleError: There is no model, it is damaged, or MONAI's network would be another one.
        ConfigError: Its images are label maps, or have pixels that hold nothing.
    """
    manifest, networks = load_bundle(model)
    has_noise = abilities_of(manifest).has_dropout_noise
    parts = [
        dataclasses.replace(part, path=_root(out, part.metadata.network) / WEIGHTS_NAME)
        for part in parts_of(model, out / "model.pt", manifest, networks)
        if part.metadata.network != "encoder"
    ]
    texts: dict[Path, str] = {}
    for part in parts:
        root, images = part.path.parents[1], _images(manifest.preprocessing, part.metadata.network)
        _require_pictures(images)
        texts |= {root / file: text for file, text in _texts(part, images, name=name, licence=licence).items()}
    for part in parts:
        part.path.parent.mkdir(parents=True, exist_ok=True)
    written = write_all(parts, lambda part, temporary: _write(part, temporary, has_noise=has_noise))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, text)
    return written


def _root(out: Path, network: str) -> Path:
    return out / _DIRECTIONS[network] if network in _DIRECTIONS else out


def _write(part: Part, temporary: Path, *, has_noise: bool) -> Proof:
    """Write the weights, and prove what the definition in the configuration makes of them."""
    state = {f"network.{key}": value for key, value in part.module.state_dict().items()}
    prior = part.metadata.prior
    if prior is not None:
        state |= {f"prior_{key}": torch.from_numpy(getattr(prior, key).copy()) for key in PRIOR_ARRAYS}
    buffer = io.BytesIO()  # PyTorch's writer may end the process where the disk is full
    torch.save(state, buffer)
    temporary.write_bytes(buffer.getbuffer())
    buffer.seek(0)
    network = MonaiGenerator(**_arguments(part))
    network.load_state_dict(torch.load(buffer, weights_only=True))
    network.eval()
    alone = part.metadata.manifest.samples_with_noise
    return part.prove(_Monai({part.metadata.network: network}, alone=alone), "fp32", has_noise=has_noise)


class _Monai(Reference):
    """The network as MONAI builds it, as an engine."""

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        return super().generate(generator, a.swapaxes(2, 3), z, seed).swapaxes(2, 3)


def _arguments(part: Part) -> dict[str, Any]:
    """Of `MonaiGenerator`."""
    given: dict[str, Any] = {"spec": dataclasses.asdict(part.spec)}
    if part.metadata.manifest.samples_with_noise:
        given["one_by_one"] = True
    if isinstance(part.metadata.prior, MixturePrior):
        given["components"] = part.metadata.prior.components
    return given


def _images(images: Preprocessing, network: str) -> Preprocessing:
    """The images of a direction."""
    if network != "gen_ba":
        return images
    return dataclasses.replace(
        images, input_levels=images.output_levels, output_levels=images.input_levels, input_parts={}
    )


def _require_pictures(images: Preprocessing) -> None:
    """Refuse what the transforms of MONAI are not written for here.

    Raises:
        ConfigError: Images are label maps, or have pixels that hold nothing.
    """
    for levels in (images.input_levels, images.output_levels):
        what = "are label maps" if levels.classes is not None else "have pixels that hold nothing (--nodata, masks)"
        if levels.classes is not None or levels.fill is not None:
            raise ConfigError(
                f"the images of this model {what}, for which no MONAI bundle is written: take --to onnx or "
                "--to torch-export, whose metadata say what the channels are."
            )


def _texts(part: Part, images: Preprocessing, *, name: str, licence: str) -> dict[str, str]:
    manifest, spec = part.metadata.manifest, part.spec
    assert isinstance(spec, GeneratorSpec)
    stated = (
        "The licence of these weights is not stated: ask who shares them.\n"
        if licence == "unknown"
        else f"SPDX-License-Identifier: {licence}\n"
    )
    return {
        CONFIG_NAME: _json(_inference(part, spec, images)),
        METADATA_NAME: _json(_metadata(manifest, spec, images, name)),
        PAGE_NAME: _page(manifest, spec, images, name),
        LICENCE_NAME: stated,
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=4, ensure_ascii=False) + "\n"


def _inference(part: Part, spec: GeneratorSpec, images: Preprocessing) -> dict[str, Any]:
    """The workflow: a folder of images through the network into another folder."""
    is_picture = images.input_levels.is_eight_bit and spec.in_channels in _PICTURE_MODES
    load: dict[str, Any] = {"_target_": "LoadImaged", "keys": "image"}
    if is_picture:
        load |= {
            "reader": "PILReader",
            "converter": f"$lambda image: image.convert({_PICTURE_MODES[spec.in_channels]!r})",
        }
    (low, high), (bottom, top) = _ends(images.input_levels), _ends(images.output_levels)
    mean, half = (high + low) / 2, (high - low) / 2
    middle, reach = (top + bottom) / 2, (top - bottom) / 2
    preprocessing = [
        load,
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
        {
            "_target_": "NormalizeIntensityd",
            "keys": "image",
            **_per_channel(mean, half, spec.in_channels),
        },
    ]
    if (size := _resized(images)) is not None:
        preprocessing.append(
            {"_target_": "Resized", "keys": "image", "spatial_size": size, "mode": "bicubic", "anti_aliasing": True}
        )
    postprocessing: list[dict[str, Any]] = []
    if size is not None:
        postprocessing.append(
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "image",
                "nearest_interp": False,
                "to_tensor": True,
            }
        )
    whole = images.output_levels.type not in {"float16", "float32", "float64"}
    postprocessing += [
        {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x.clamp(-1, 1)"},
        {
            "_target_": "NormalizeIntensityd",
            "keys": "pred",
            **_per_channel(-middle / reach, 1 / reach, spec.out_channels),
        },
        *([{"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x.round()"}] if whole else []),
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "",
            "separate_folder": False,
            "resample": False,
            "output_ext": _ending(images.output_levels, spec.out_channels),
            "output_dtype": f"$numpy.{images.output_levels.type}",
        },
    ]
    return {
        "imports": ["$import glob", "$import numpy", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$[{'image': path} for path in sorted(glob.glob(os.path.join(@dataset_dir, '*.*')))]",
        "network_def": {"_target_": "tandem.inference.monai.network.MonaiGenerator", **_arguments(part)},
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": preprocessing},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": postprocessing},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": f"$@bundle_root + '/{WEIGHTS_NAME}'",
                "load_dict": {"model": "@network"},
                "map_location": "@device",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "initialize": ["$monai.utils.set_determinism(seed=0)"],
        "run": ["$@evaluator.run()"],
    }


def _per_channel(subtrahend: np.ndarray, divisor: np.ndarray, channels: int) -> dict[str, Any]:
    """Of `NormalizeIntensity`."""
    if len(subtrahend) == channels > 1:
        return {"subtrahend": subtrahend.tolist(), "divisor": divisor.tolist(), "channel_wise": True}
    return {"subtrahend": float(subtrahend[0]), "divisor": float(divisor[0])}


def _ends(levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    if levels.is_by_type:
        return np.zeros(1), np.array([float(np.iinfo(levels.type).max)])
    return np.array(levels.low), np.array(levels.high)


def _resized(images: Preprocessing) -> list[int] | None:
    """To which size images are brought, x first; None: they keep their own, since MONAI scales to no width."""
    if images.keeps_resolution or images.load_width is not None:
        return None
    height, width = images.target(*images.size, "auto")
    return [width, height]


def _ending(levels: Levels, channels: int) -> str:
    return ".png" if levels.is_eight_bit and channels in {1, 3, 4} else ".nii.gz"


def _scale(images: Preprocessing) -> str:
    """What is done to sizes."""
    if images.load_width is not None:
        return (
            f"Scale them to a width of {images.load_width} px beforehand, as training did: here they keep their size."
        )
    return f"{images.describe('auto').capitalize()}."


def _metadata(manifest: Manifest, spec: GeneratorSpec, images: Preprocessing, name: str) -> dict[str, Any]:
    needed = {"pytorch-ignite": IGNITE, "tandem-gan": manifest.tandem_version}
    if _ending(images.output_levels, spec.out_channels) != ".png" or not images.input_levels.is_eight_bit:
        needed["nibabel"] = NIBABEL
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"written by Tandem {manifest.tandem_version}"},
        **TESTED,
        "required_packages_version": needed,
        "supported_apps": {},
        "name": name,
        "task": "Image-to-image translation",
        "description": f"A {manifest.method} model of Tandem. {_scale(images)}",
        "authors": "unknown",
        "copyright": "unknown",
        "intended_use": "To be written by whoever shares it.",
        "network_data_format": {
            "inputs": {"image": _format(spec.in_channels)},
            "outputs": {"pred": _format(spec.out_channels)},
        },
    }


def _format(channels: int) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "n/a",
        "num_channels": channels,
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": False,
        "channel_def": {str(index): f"channel {index}" for index in range(channels)},
    }


def _page(manifest: Manifest, spec: GeneratorSpec, images: Preprocessing, name: str) -> str:
    latent = (
        f"\nz, {spec.latent_dim} numbers, decides which of the possible outputs comes out. It is drawn by PyTorch's "
        "generator, or given: `network(image, z=z)`.\n"
        if spec.latent_dim
        else ""
    )
    return f"""# {name}

A model of the method {manifest.method}, written by Tandem {manifest.tandem_version} as a MONAI bundle. It needs
`tandem-gan`, `monai` and `pytorch-ignite`; the command also `fire`.

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES --output_dir OUT

Images have MONAI's order of axes, x before y, and any size; of a volume every slice is translated.
{_scale(images)}
{latent}
What it is for, and where it fails, is to be written here by whoever shares it.
"""
