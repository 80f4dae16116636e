"""What an evaluation can be asked for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from tandem.config.options import Options, option, same
from tandem.config.validation import ValidationConfig, ValueRange
from tandem.errors import ConfigError, Problem, nearest
from tandem.inference.inputs import Fit

if TYPE_CHECKING:
    from tandem.evaluation.features import InputSpec

MAX_PALETTE_BYTES = 2**20

Resizer = Literal["clean", "torch-fidelity", "pytorch-fid"]
BackboneName = Literal["alex", "vgg", "squeeze"]
LPIPSVersion = Literal["v0.0", "v0.1"]
Palette = tuple[tuple[int, int, int], ...]
"""The colour of each class, 0 to 255."""

MetricName = Literal[
    "fid",
    "kid",
    "prdc",
    "frechet",
    "l1",
    "psnr",
    "ssim",
    "ms-ssim",
    "lpips",
    "best-of-n",
    "lpips-diversity",
    "l1-diversity",
    "bijection",
    "cycle",
    "identity",
    "mode-coverage",
    "segmentation",
]
METRICS: tuple[MetricName, ...] = get_args(MetricName)

_SHIFT_AND_SCALE: dict[ValueRange, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "signed": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "bytes": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def parse_metrics(text: str) -> tuple[MetricName, ...]:
    """Names that are separated by commas, each once.

    Raises:
        ConfigError: There is no such metric, or none at all.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--metrics names no metric; the metrics are {', '.join(METRICS)}.", option="--metrics")
    for name in names:
        if name not in METRICS:
            text = f"--metrics: there is no metric '{name}'.{nearest(name, METRICS)} They are {', '.join(METRICS)}"
            raise ConfigError(problems=[Problem(text, "--metrics", name)])
    return tuple(name for name in METRICS if name in names)


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
        values = json.loads(path.read_text(encoding="utf-8"))
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in values)
    except (OSError, ValueError, TypeError, RecursionError) as error:
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

    `may_download` says whether weights that are asked for by name may be fetched.
    """

    metrics: tuple[MetricName, ...] | None = option(
        None, "names separated by commas; by default all that can be computed", read=parse_metrics
    )
    num_samples: int = option(10, "samples of each input", at_least=1)
    seed: int = option(0, "decides the samples: the same seed gives the same report")
    fit: Fit = option("pad", "how inputs get a size that the network takes, as for tandem sample")
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
    trust_torchscript: bool = option(False, "run TorchScript files, which are programs, as your own")
    may_download: bool = True

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.weights is not None and not self.weights.is_dir():
            yield f"--weights {self.weights} is no folder: make it, or leave the option out"
        if (self.segmenter is None) != (self.palette is None):
            yield "--segmenter and --palette belong together: give both, or neither"
        if self.lpips_heads is not None and self.lpips_heads.is_file() and self.lpips_version is None:
            yield "--lpips-heads FILE is of one version: say which with --lpips-version"


def input_spec(size: int | None, values: ValueRange) -> "InputSpec":
    """What a network from outside takes."""
    from tandem.evaluation.features import InputSpec  # noqa: PLC0415  (imports torch)

    shift, scale = _SHIFT_AND_SCALE[values]
    return InputSpec(None if size is None else (size, size), shift, scale)
