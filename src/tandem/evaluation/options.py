"""What an evaluation can be asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.config.options import Options, option, same
from tandem.config.specifications import BackboneName
from tandem.config.validation import ValidationConfig, ValueRange, idle_feature_options
from tandem.data.fit import Fit
from tandem.errors import ConfigError
from tandem.foreign import load_json

MAX_PALETTE_BYTES = 2**20

Resizer = Literal["clean", "torch-fidelity", "pytorch-fid"]
LPIPSVersion = Literal["v0.0", "v0.1"]
Palette = tuple[tuple[int, int, int], ...]
"""The colour of each class, 0 to 255."""


def split_names(text: str) -> tuple[str, ...]:
    """Names that are separated by commas.

    Raises:
        ConfigError: There are none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError("--metrics names no metric: give names separated by commas.", option="--metrics")
    return names


def read_palette(text: str) -> Palette:
    """The colours in a JSON file.

    Args:
        text: The path of a file with a list of colours ``[r, g, b]``.

    Raises:
        ConfigError: There is no such file, or it holds something else.
    """
    path = Path(text)
    if path.is_file() and path.stat().st_size > MAX_PALETTE_BYTES:
        raise ConfigError(f"--palette {path} is larger than {MAX_PALETTE_BYTES} bytes.", option="--palette")
    try:
        values = load_json(path, MAX_PALETTE_BYTES)
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in values)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"--palette {path} is no JSON list of colours [r, g, b]: {error}.", option="--palette"
        ) from error
    if not colours or not all(0 <= part <= 255 for colour in colours for part in colour):
        raise ConfigError(
            f"--palette {path} must hold at least one colour, with numbers from 0 to 255.", option="--palette"
        )
    return colours


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """Which metrics, and everything that their numbers depend on.

    `may_download` says whether weights that are asked for by name may be fetched, and `in_training` whether the options
    are those of a validation, which are spelled ``--validate-…``.
    """

    metrics: tuple[str, ...] | None = option(
        None, "names separated by commas; by default all that can be computed", read=split_names
    )
    num_samples: int = option(ValidationConfig.validate_samples, "samples of each input", at_least=1)
    seed: int = option(0, "decides the samples: the same seed gives the same report")
    fit: Fit = option("auto", "how inputs get a size that the network takes, as for tandem sample")
    batch_size: int = option(16, "images that are measured at once", at_least=1)
    num_workers: int | None = option(None, "threads that read files ahead; no number depends on it", at_least=0)
    resizer: Resizer = option("clean", "how images get the size of the feature network; part of the metric")
    weights: Path | None = option(None, "folder of published weights, instead of the cache folder")
    inception: Path | None = option(None, "file of the FID weights, or a folder that holds it")
    features: Path | None = option(None, "feature network: MobileNet in .npz, .onnx, or TorchScript")
    features_size: int | None = same(ValidationConfig, "validate_features_size")
    features_range: ValueRange = same(ValidationConfig, "validate_features_range")
    lpips_network: BackboneName = option("alex", "backbone of LPIPS")
    lpips_version: LPIPSVersion | None = option(None, "by default v0.1, and v0.0 for diversity, as published")
    lpips_backbone: Path | None = option(None, "its weights, a file or a folder that holds them")
    lpips_heads: Path | None = option(None, "the heads of LPIPS, likewise")
    segmenter: Path | None = option(None, "segmentation model: .onnx, or TorchScript")
    segmenter_size: int | None = same(ValidationConfig, "validate_features_size")
    segmenter_range: ValueRange = same(ValidationConfig, "validate_features_range")
    palette: Palette | None = option(None, "JSON file with the colour [r, g, b] of each class", read=read_palette)
    palette_distance: float = option(0.0, "how far a label's colour may be off; JPEG needs some 60")
    trust_torchscript: bool = option(False, "run TorchScript files, which are programs, as your own", one_way=True)
    may_download: bool = True
    in_training: bool = False

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.weights is not None and not self.weights.is_dir():
            yield f"--weights {self.weights} is no folder: make it, or leave the option out"
        if (self.segmenter is None) != (self.palette is None):
            yield "--segmenter and --palette belong together: give both, or neither"
        if self.lpips_heads is not None and self.lpips_heads.is_file() and self.lpips_version is None:
            yield "--lpips-heads FILE is of one version: say which with --lpips-version"
        if not self.in_training:  # where they are options of the training, which has asked this
            given = {
                "features_size": self.features_size is not None,
                "features_range": self.features_range != "signed",
                "trust_torchscript": self.trust_torchscript and self.segmenter is None,
            }
            yield from idle_feature_options(self.features, given, "features")

    def flag(self, name: str) -> str:
        """How an option is spelled where it was given: ``--num-samples``, or ``--validate-samples`` in training."""
        return f"--validate-{name.removeprefix('num-')}" if self.in_training else f"--{name}"
