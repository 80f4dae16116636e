"""From the path of an ONNX file to what a translator needs; PyTorch is not imported."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.manifest import Manifest, WeightsFile
from tandem.config.data import Direction
from tandem.errors import BundleError
from tandem.inference.onnx.check import check_file
from tandem.inference.onnx.engine import OnnxEngine, require_no_dropout
from tandem.inference.onnx.model_file import SUFFIX, Metadata, file_of
from tandem.prior.distributions import MixturePrior

_DIRECTIONS: Mapping[str, Direction] = {"gen_ab": "AtoB", "gen_ba": "BtoA"}


def is_onnx_file(path: Path) -> bool:
    """Whether a path is that of an ONNX file; a folder may be called like one."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def load_onnx(
    path: Path, *, device: str = "auto", threads: int | None = None
) -> tuple[Manifest, OnnxEngine, MixturePrior | None]:
    """Load a model.

    Args:
        path: The file of a generator; that of its encoder is found beside it. Of a model that translates in both
            directions ``NAME.onnx`` stands for ``NAME.AtoB.onnx`` and ``NAME.BtoA.onnx``, or one of these.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: That compute on the CPU.

    Returns:
        The manifest, whose `weights` are the file, an engine, and the learned prior, if there is one.

    Raises:
        BundleError: A file is missing, damaged, hostile, of another program, or of another model than the first.
        ConfigError: ONNX Runtime does not have the device.
        MissingExtraError: ONNX Runtime is not installed.
    """
    found = _checked(path)
    first = next(iter(found.values())).metadata
    manifest, files = first.manifest, {network: one.path for network, one in found.items()}
    require_no_dropout(manifest)
    if len(found) == 1 and first.network in _DIRECTIONS:
        manifest = _of_one_direction(manifest, first.network)
        files = {"generator": path}
    digest = hashlib.sha256("".join(one.sha256 for one in found.values()).encode()).hexdigest()
    manifest = dataclasses.replace(manifest, weights=WeightsFile(file=path.name, sha256=digest))
    engine = OnnxEngine(manifest.networks, files, storage=first.storage, device=device, threads=threads)
    return manifest, engine, first.prior


@dataclass(frozen=True)
class _Checked:
    path: Path
    metadata: Metadata
    sha256: str


def _checked(path: Path) -> dict[str, _Checked]:
    """The files that a path stands for, by the networks that they hold, the generator first."""
    if path.exists():
        first = _Checked(path, *check_file(path))
        if first.metadata.network == "encoder":
            raise BundleError(f"{path} is the encoder of a model: give the file of its generator.", file=path)
        found = {first.metadata.network: first}
        encoder = file_of(path, "encoder")
        if first.metadata.network == "generator" and "encoder" in first.metadata.manifest.networks and encoder.exists():
            found["encoder"] = _Checked(encoder, *check_file(encoder))
    else:
        files = [file_of(path, network) for network in _DIRECTIONS]
        if not all(file.is_file() for file in files):
            raise BundleError(
                f"no model at {path}: there is no such file. 'tandem export RUN --to onnx' writes one.", file=path
            )
        found = {network: _Checked(file, *check_file(file)) for network, file in zip(_DIRECTIONS, files, strict=True)}
    _require_one_model(found)
    return found


def _require_one_model(found: Mapping[str, _Checked]) -> None:
    first = next(iter(found.values()))
    for network, one in found.items():
        if one.metadata.network != network or one.metadata.manifest.weights != first.metadata.manifest.weights:
            raise BundleError(
                f"{one.path} is not the {network} of the model in {first.path}: it holds the {one.metadata.network} of "
                "another one. Put the files of one export beside each other.",
                file=one.path,
            )


def _of_one_direction(manifest: Manifest, network: str) -> Manifest:
    """What a model that translates in both directions says of itself if it has one generator alone."""
    images, direction = manifest.preprocessing, _DIRECTIONS[network]
    if direction == "BtoA":
        images = dataclasses.replace(
            images,
            input_sizes=images.output_sizes,
            output_sizes=images.input_sizes,
            input_channels=images.output_channels,
            output_channels=images.input_channels,
            input_levels=images.output_levels,
            output_levels=images.input_levels,
        )
    images = dataclasses.replace(images, direction=direction)
    return dataclasses.replace(manifest, networks={"generator": manifest.networks[network]}, preprocessing=images)
