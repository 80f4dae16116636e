"""What an evaluation can be asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tandem.errors import ConfigError, nearest
from tandem.evaluation.features import InputSpec
from tandem.evaluation.lpips import LPIPSVersion
from tandem.evaluation.networks.backbones import BackboneName
from tandem.evaluation.resize import Resizer
from tandem.inference.inputs import Fit

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

ValueRange = Literal["signed", "unit", "bytes", "imagenet"]
"""What a network takes: [-1, 1], [0, 1], [0, 255], or normalised as torchvision's classifiers want it."""

_SHIFT_AND_SCALE: dict[ValueRange, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "signed": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "bytes": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Which metrics, and everything that their numbers depend on.

    Attributes:
        metrics: By name; None for all that work with the model, the data and the weights at hand.
        num_samples: Samples of each input.
        seed: Of the samples, of bootstraps and of random pairs.
        fit: How inputs get a size that the network takes.
        batch_size: Images that are measured at once.
        num_workers: Threads that read files ahead, each as many as that; None for what suits the device.
        resizer: How images get the size of the feature network.
        weights: A folder of published weights, instead of the cache folder.
        inception: The FID weights, where they are not found by name.
        features: A feature network.
        features_size: The side of its input; None for a network that takes any size.
        features_range: What values it takes.
        lpips_network: The backbone.
        lpips_version: None for v0.1, and v0.0 for diversity, as published.
        lpips_backbone: Its weights, where they are not found by name.
        lpips_heads: The heads, likewise.
        segmenter: A segmentation model.
        segmenter_size: As for features.
        segmenter_range: Likewise.
        palette: The colour of each class.
        palette_distance: How far a colour of a label map may be from the palette.
        trust_torchscript: Whether files may run as programs.
        may_download: Whether weights that are asked for by name may be fetched.
    """

    metrics: tuple[MetricName, ...] | None = None
    num_samples: int = 10
    seed: int = 0
    fit: Fit = "pad"
    batch_size: int = 16
    num_workers: int | None = None
    resizer: Resizer = "clean"
    weights: Path | None = None
    inception: Path | None = None
    features: Path | None = None
    features_size: int | None = None
    features_range: ValueRange = "signed"
    lpips_network: BackboneName = "alex"
    lpips_version: LPIPSVersion | None = None
    lpips_backbone: Path | None = None
    lpips_heads: Path | None = None
    segmenter: Path | None = None
    segmenter_size: int | None = None
    segmenter_range: ValueRange = "signed"
    palette: tuple[tuple[int, int, int], ...] | None = None
    palette_distance: float = 0.0
    trust_torchscript: bool = False
    may_download: bool = True

    def __post_init__(self) -> None:
        problems = []
        for name, value, least in (("num-samples", self.num_samples, 1), ("batch-size", self.batch_size, 1)):
            problems += [] if value >= least else [f"--{name} must be at least {least}, not {value}."]
        if self.num_workers is not None and self.num_workers < 0:
            problems.append(f"--num-workers must be at least 0, not {self.num_workers}.")
        if self.weights is not None and not self.weights.is_dir():
            problems.append(f"--weights {self.weights} is no folder: make it, or leave the option out.")
        for name, size in (("features-size", self.features_size), ("segmenter-size", self.segmenter_size)):
            problems += [] if size is None or size >= 1 else [f"--{name} must be at least 1, not {size}."]
        if (self.segmenter is None) != (self.palette is None):
            problems.append("--segmenter and --palette belong together: give both, or neither.")
        if self.lpips_heads is not None and self.lpips_heads.is_file() and self.lpips_version is None:
            problems.append("--lpips-heads FILE is of one version: say which with --lpips-version.")
        if problems:
            raise ConfigError("\n".join(problems))


def input_spec(size: int | None, values: ValueRange) -> InputSpec:
    """What a network from outside takes."""
    shift, scale = _SHIFT_AND_SCALE[values]
    return InputSpec(None if size is None else (size, size), shift, scale)


def parse_metrics(text: str) -> tuple[MetricName, ...]:
    """Names that are separated by commas, each once.

    Raises:
        ConfigError: There is no such metric, or none at all.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--metrics names no metric; the metrics are {', '.join(METRICS)}.")
    for name in names:
        if name not in METRICS:
            hint = nearest(name, METRICS)
            raise ConfigError(f"--metrics: there is no metric '{name}'.{hint} They are {', '.join(METRICS)}.")
    return tuple(name for name in METRICS if name in names)
