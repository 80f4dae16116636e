"""What a model bundle says of itself: ``model.json``, readable without PyTorch.

A bundle is a folder with this file and one file of weights that it names together with the SHA-256. The weights'
name carries the start of that hash, so that a bundle that is renewed while somebody reads it is never half old, half
new: ``model.json`` is replaced last.

A bundle to be shared (`tandem.checkpoint.seal`) has the names that the Hugging Face Hub knows, ``config.json`` and
``model.safetensors``, and its manifest a seal: the hash of every other file, and one of the manifest itself.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tandem.checkpoint.calibration import Calibration
from tandem.checkpoint.named import MADE_BY, named_folder
from tandem.checkpoint.storage import Storage
from tandem.config.classes import MAX_CLASSES
from tandem.config.data import MAX_CHANNELS, MAX_SIDE
from tandem.config.parse import parse_dataclass
from tandem.config.specifications import NetworkSpec
from tandem.data.check_report import SizeRange
from tandem.data.fit import FitRule
from tandem.data.levels import BY_TYPE, Levels
from tandem.errors import BundleError
from tandem.foreign import read_bounded

FORMAT_VERSION = 1
MANIFEST_NAME = "model.json"
MAX_MANIFEST_BYTES = 4 * 2**20
RENEWALS = 10
"""How often a reader begins again because the bundle is renewed meanwhile."""
MAX_SHARED_BYTES = 64 * 2**20
"""Of a file of a shared bundle beside its weights."""
SHARED_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
SHARED_MANIFEST_NAME = "config.json"
SHARED_WEIGHTS_NAME = "model.safetensors"
_WEIGHTS_NAME = re.compile(rf"weights-[0-9a-f]{{16}}\.safetensors|{re.escape(SHARED_WEIGHTS_NAME)}")


@dataclass(frozen=True, kw_only=True)
class Preprocessing(FitRule):
    """How images become the network's input and its output an image; the sizes are those of `FitRule`.

    Attributes:
        input_sizes: Sizes of the files of the training images, those of the input.
        output_sizes: Likewise, those of the output.
        direction: Which side of the training pairs was the input.
        input_channels: Channels of input images.
        output_channels: Channels of output images.
        value_range: What black and white are mapped to.
        input_levels: The type of input files, and their values of black and white, or their classes where they are
            label maps; where pixels are masked also what these become (`fill`) and which value they have (`nodata`);
            left out of the file where that is uint8 with 0 and 255 and nothing is masked.
        output_levels: Likewise of outputs.
        resize: Filter of every resize of pictures; label maps are resized to the nearest pixel.
        input_parts: How many channels each of the images has that are stacked into an input, by its name, in their
            order; empty, and left out of the file, where an input is one image.
    """

    input_sizes: SizeRange
    output_sizes: SizeRange
    direction: Literal["AtoB", "BtoA"]
    input_channels: int
    output_channels: int
    value_range: tuple[float, float] = (-1.0, 1.0)
    input_levels: Levels = BY_TYPE
    output_levels: Levels = BY_TYPE
    resize: Literal["bicubic"] = "bicubic"
    input_parts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A manifest may come from a stranger, and images are brought to this size without further questions.
        if not all(1 <= side <= MAX_SIDE for side in self.size):
            raise ValueError(f"size must be from 1 to {MAX_SIDE} px, not {self.size}")
        loaded = {"resize_and_crop": (True, False), "crop": (False, False), "none": (False, False)}
        given = (self.load_size is not None, self.load_width is not None)
        if given != loaded.get(self.preprocess, (False, True)):
            raise ValueError(f"load_size and load_width do not go with preprocess {self.preprocess}")
        loads = (*(self.load_size or (1,)), self.load_width or 1)
        if not all(1 <= side <= MAX_SIDE for side in loads):
            raise ValueError(f"load_size and load_width must be from 1 to {MAX_SIDE} px, not {loads}")
        for sizes in (self.input_sizes, self.output_sizes):
            if min(dataclasses.astuple(sizes)) <= 0:
                raise ValueError(f"input_sizes and output_sizes must be positive, not {sizes}")
        for channels, levels in ((self.input_channels, self.input_levels), (self.output_channels, self.output_levels)):
            most = MAX_CHANNELS if levels.classes is None else MAX_CLASSES
            if not 1 <= channels <= most:
                raise ValueError(
                    f"channels must be from 1 to {most}, not {self.input_channels} and {self.output_channels}"
                )
        for levels, channels in ((self.input_levels, self.input_channels), (self.output_levels, self.output_channels)):
            if levels.classes is not None and len(levels.classes) != channels:
                raise ValueError(f"{len(levels.classes)} classes do not go with {channels} channels")
            if len(levels.low) not in (0, 1, channels):
                raise ValueError(f"levels of {len(levels.low)} channels do not go with {channels}")
        parts = self.input_parts.values()
        if parts and (min(parts) < 1 or sum(parts) != self.input_channels):
            raise ValueError(f"input_parts must have {self.input_channels} channels together, not {self.input_parts}")
        if self.value_range != (-1.0, 1.0):
            raise ValueError(f"value_range must be (-1, 1), not {self.value_range}")


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """The file of weights beside the manifest.

    Attributes:
        file: Its name.
        sha256: Of its content.
        stored: How its weights are stored; left out of the manifest where that is in full.
    """

    file: str
    sha256: str
    stored: Storage = "fp32"


@dataclass(frozen=True, kw_only=True)
class LearnedPrior:
    """What latents are drawn from, where that is not N(0, I); its numbers lie beside the weights, see `bundle`.

    Attributes:
        family: One Gaussian, or a mixture of several.
        components: How many.
        images: Training images to whose latents it was fitted.
    """

    family: Literal["gaussian", "mixture"]
    components: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What shows that no byte of a shared bundle has changed; see `tandem.checkpoint.seal`.

    Attributes:
        files: SHA-256 of every file beside the manifest, by name.
        sha256: Of the manifest, with zeros in the place of this hash.
    """

    files: Mapping[str, str]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything about a model but its weights.

    Attributes:
        tandem_version: Version that wrote the bundle.
        method: The method that trained the model.
        networks: Specification of each network by its name, e.g. ``generator`` and ``encoder``.
        preprocessing: From image to tensor and back.
        samples_with_noise: Whether the model samples in the state of training, as pix2pix does: dropout on, batch norm
            with the statistics of the image itself.
        training: Where the model comes from: steps, images, seed, options, data.
        statistics: Mean, standard deviation and spread of the training images in [-1, 1].
        prior: What latents are drawn from; None, which is left out of the file: N(0, I).
        weights: The weights' file; None until the bundle is written.
        calibration: How sure the model is, where that was measured for these weights.
        seal: Of a bundle to be shared; None, which is left out of the file, of others.
        format: Version of this format.
    """

    tandem_version: str
    method: str
    networks: Mapping[str, NetworkSpec]
    preprocessing: Preprocessing
    samples_with_noise: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    prior: LearnedPrior | None = None
    weights: WeightsFile | None = None
    calibration: Calibration | None = None
    seal: Seal | None = None
    format: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The text of ``model.json``."""
        values = dataclasses.asdict(self)
        for name in ("prior", "seal"):
            if values[name] is None:
                del values[name]
        if not self.preprocessing.input_parts:
            del values["preprocessing"]["input_parts"]
        for name in ("input_levels", "output_levels"):
            levels = getattr(self.preprocessing, name)
            if levels == BY_TYPE:
                del values["preprocessing"][name]
                continue
            described = values["preprocessing"][name]
            optional = ("classes", "fill", "nodata")
            values["preprocessing"][name] = {
                key: value for key, value in described.items() if key not in optional or value is not None
            }
        if self.weights is not None and self.weights.stored == "fp32":
            del values["weights"]["stored"]
        return json.dumps(values, indent=2, allow_nan=False) + "\n"


def read_manifest(path: Path, *, trust_files: bool = False) -> tuple[Manifest, Path]:
    """Read the manifest of the bundle at `path` and find its weights.

    Args:
        path: The bundle, its ``model.json``, or a run folder that holds a bundle under ``model``.
        trust_files: Whether what lies beside the weights of a shared bundle may have changed, to be sealed anew.

    Returns:
        The manifest and the path of the weights' file, which exists.

    Raises:
        BundleError: There is no bundle, or it is damaged, hostile or of another format.
    """
    for _ in range(RENEWALS):
        folder = bundle_folder(path)
        stamp = _stamp(folder)
        try:
            return _read(folder, trust_files=trust_files)
        except BundleError:
            if _stamp(folder) == stamp:
                raise
            # It was renewed between its manifest and its weights: what it is now is as good.
    return _read(bundle_folder(path), trust_files=trust_files)


def _stamp(folder: Path) -> tuple[int, ...]:
    """Numbers that change when a manifest is replaced."""
    try:
        status = manifest_file(folder).stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(folder: Path, *, trust_files: bool) -> tuple[Manifest, Path]:
    file = manifest_file(folder)
    manifest, text = _parse(file)
    if manifest.seal is not None or file.name == SHARED_MANIFEST_NAME:
        _require_sealed(file, text, manifest, trust_files=trust_files)
    return manifest, _weights_path(folder, manifest)


def sealed_files(file: Path) -> dict[str, bool]:
    """The files that the manifest of a shared bundle names, which need not be there, and whether they are the weights.

    Raises:
        BundleError: It is damaged, or names other files than those of a shared bundle.
    """
    manifest, text = _parse(file)
    _require_sealed(file, text, manifest, trust_files=True)
    assert manifest.seal is not None
    assert manifest.weights is not None
    if manifest.weights.file not in manifest.seal.files:
        raise BundleError(f"{file} does not name its weights among its files.", file=file)
    return {name: name == manifest.weights.file for name in manifest.seal.files}


def _parse(file: Path) -> tuple[Manifest, str]:
    """A manifest, and its text."""
    try:
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{file} is larger than {MAX_MANIFEST_BYTES} bytes: that is not a model.")
        text = read_bounded(file, MAX_MANIFEST_BYTES).decode("utf-8")
        values = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read: {error}.") from error
    return manifest_of_values(values, str(file)), text


def manifest_of_values(values: object, origin: str) -> Manifest:
    """Check what was read from JSON as a manifest.

    Args:
        values: What was read.
        origin: Where from, for messages.

    Raises:
        BundleError: It is damaged, hostile or of another format.
    """
    if isinstance(values, dict) and values.get("format") != FORMAT_VERSION:
        raise BundleError(
            f"{origin} has the bundle format {values.get('format')!r:.40}, this version of Tandem reads format "
            f"{FORMAT_VERSION}. Upgrade Tandem, or use the version that wrote the model."
        )
    _require_fit(values, origin)
    try:
        manifest = parse_dataclass(Manifest, values, Path(origin).name)
    except ValueError as error:
        raise BundleError(f"{origin} is damaged: {error}.") from error
    _require_own_calibration(origin, manifest)
    return manifest


def _require_fit(values: object, file: str) -> None:
    """Refuse a manifest that does not say what training did to the sizes of images, with what can be done."""
    preprocessing = values.get("preprocessing") if isinstance(values, dict) else None
    names = ("preprocess", "input_sizes", "output_sizes")
    missing = [name for name in names if isinstance(preprocessing, dict) and name not in preprocessing]
    if missing:
        raise BundleError(
            f"{file} does not say what training did to the sizes of images (preprocessing.{missing[0]} is missing), so "
            "that nobody knows at which size inputs must reach the networks: another version of Tandem wrote it. Train "
            "the model anew with this version, or use the version that wrote it."
        )


def _require_own_calibration(file: str, manifest: Manifest) -> None:
    calibration, weights = manifest.calibration, manifest.weights
    if calibration is not None and weights is not None and calibration.weights_sha256 != weights.sha256:
        raise BundleError(
            f"{file} has a calibration of other weights: its intervals would say nothing of this model. Remove the "
            "entry 'calibration', and calibrate the model with 'tandem calibrate'."
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_sealed(file: Path, text: str, manifest: Manifest, *, trust_files: bool) -> None:
    """Refuse a shared bundle of which anything has changed since it was sealed; the weights are checked later."""
    seal = manifest.seal
    if seal is None or hash_of_sealed(text, seal) != seal.sha256:
        raise BundleError(
            f"{file} is not what was shared: it has no seal, or was changed after it was sealed. Get the model again, "
            "or make it again with 'tandem export --to hub'.",
            file=file,
        )
    for name, digest in seal.files.items():
        if not SHARED_NAME.fullmatch(name) or name == file.name:
            raise BundleError(f"{file} names {name!r:.80}, which is no file of a shared model.", file=file)
        if trust_files or (manifest.weights is not None and name == manifest.weights.file):
            continue
        path = file.parent / name
        if not _is_unchanged(path, digest):
            raise BundleError(
                f"{path} is missing or was changed after the model was sealed. If it was you who changed it, seal the "
                f"model anew: tandem export {file.parent} --to hub --out {file.parent}",
                file=path,
            )


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MAX_SHARED_BYTES and sha256_of(path) == digest
    except FileNotFoundError:  # the folder is renewed
        return False


def hash_of_sealed(text: str, seal: Seal) -> str:
    """The hash of a manifest with zeros in the place of its own hash."""
    return hashlib.sha256(text.replace(seal.sha256, "0" * 64, 1).encode()).hexdigest()


def manifest_file(folder: Path) -> Path:
    """The manifest of the bundle in `folder`, under the name that it has there."""
    own = folder / MANIFEST_NAME
    shared = folder / SHARED_MANIFEST_NAME
    return shared if shared.is_file() and not own.is_file() else own


def _weights_path(folder: Path, manifest: Manifest) -> Path:
    weights = manifest.weights
    if weights is None or not _WEIGHTS_NAME.fullmatch(weights.file):
        raise BundleError(
            f"{folder / MANIFEST_NAME} names no valid file of weights (weights-….safetensors in the same folder)."
        )
    path = folder / weights.file
    missing = BundleError(f"the weights {path} are missing: copy the whole folder, not {MANIFEST_NAME} alone.")
    if not path.is_file():  # a pipe or a device would be read for ever
        raise missing
    try:
        found = sha256_of(path)
    except FileNotFoundError:  # the folder is renewed
        raise missing from None
    except OSError as error:
        raise BundleError(f"the weights {path} cannot be read: {error.strerror}.", file=path) from error
    if found != weights.sha256:
        raise BundleError(f"the weights {path} are damaged: their SHA-256 is not the one in {MANIFEST_NAME}.")
    return path


def bundle_folder(path: Path) -> Path:
    """The folder of the bundle at `path`: that folder, its ``model.json``, the run folder around it, or a name.

    Raises:
        BundleError: There is none.
    """
    if (named := named_folder(path)) is not None:
        if manifest_file(named).is_file():
            return named
        raise BundleError(
            f"the model {path} is not there yet: {MADE_BY[str(path)]}. (There is nothing at {path}, and no model in "
            f"{named}.)"
        )
    if path.name in {MANIFEST_NAME, SHARED_MANIFEST_NAME} and path.is_file():
        return path.parent
    for folder in (path, path / "model"):
        if manifest_file(folder).is_file():
            return folder
    if not path.exists():
        reason = "there is no such folder"
    elif path.is_dir():
        reason = f"the folder holds no {MANIFEST_NAME}"
        if str(path) in MADE_BY:
            reason += f", and goes before the model that is called {path}, which other working folders find"
    else:
        reason = "that is a file" if path.suffix.lower() != ".onnx" else "an ONNX file is sampled, and no more"
    raise BundleError(
        f"no model at {path}: {reason}. Give the folder that training wrote (runs/NAME or runs/NAME/model)."
    )
