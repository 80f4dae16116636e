"""What a method's configuration is, and what these share: choices, and rules about the sizes of networks."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Protocol

from tandem.config.data import DataConfig
from tandem.config.specifications import FIRST_DROPOUT_LEVEL

GanLoss = Literal["lsgan", "bce", "hinge", "wgangp"]
PlainGanLoss = Literal["lsgan", "bce", "hinge"]
Init = Literal["xavier", "normal", "fan_in"]
Augmentation = Literal["color", "translation", "cutout"]
"""Parts of DiffAugment; see `tandem.objectives.diffaugment`."""
DIFFAUGMENT_HELP = (
    "what discriminators see of real images and fakes is augmented, for few pairs: some of color, translation, cutout, "
    "with commas between"
)
MIN_DEPTH, MAX_DEPTH = 5, 9
MAX_BLOCKS = 64
SMALLEST_RESNET_INPUT = 16
"""The blocks reflect an edge of a map of a quarter of the size, and instance norm needs several values."""


LAMBDA_FEATURES_HELP = "weight of the distance between %s and B in the features of --feature-weights"
FEATURE_WEIGHTS_HELP = (
    "weights of the network whose features are compared: MobileNet in .npz; VGG16, AlexNet or SqueezeNet in .pth or "
    ".safetensors"
)
SMALLEST_FEATURES_INPUT = 32
"""Smaller images leave nothing of the inner maps of classifiers."""


class MethodConfig(Protocol):
    """The options of a method: a frozen dataclass whose fields are `tandem.config.options.option`.

    This is all that the rest of the program knows of a method's configuration. The method's own objective reads the
    options; command line, YAML file and help follow from the fields.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    method: ClassVar[str]
    """The name under which the method is chosen, and that runs and models carry."""
    paired: ClassVar[bool]
    """Whether the method trains on pairs, or on two domains."""
    parts: ClassVar[int]
    """Pieces of equal size of a batch that the method uses differently; see `tandem.data.micro_batches`."""

    @property
    def latent_dim(self) -> int:
        """Length of the latent z; 0 for a method without one."""
        ...

    def size_multiple(self, data: DataConfig) -> int:
        """What the sides of a generator's input, in pixels, must be multiples of."""
        ...

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        """Say what does not fit together, each with the option to change."""
        ...


def unet_depth(depth: int | None, data: DataConfig) -> int:
    """Levels of a U-Net: as given, or the largest number that the size allows (8 at 256 px, 9 at most)."""
    if depth is not None:
        return depth
    fits = [d for d in range(1, MAX_DEPTH + 1) if all(side % 2**d == 0 for side in data.crop_size)]
    return max(fits, default=1)


def unet_problems(depth: int | None, data: DataConfig) -> Iterator[str]:
    """Say why a U-Net of `depth` levels does not fit the size of the data."""
    height, width = data.crop_size
    if depth is not None and not 2 <= depth <= MAX_DEPTH:
        yield f"--generator-depth must be from 2 to {MAX_DEPTH}, not {depth}"
        return
    multiple = 2 ** (depth or MIN_DEPTH)
    if height % multiple or width % multiple:
        yield _no_multiple(data, multiple, f"with {depth or f'at least {MIN_DEPTH}'} levels the generator")


def dropout_problems(depth: int | None, data: DataConfig, *, dropout: bool) -> Iterator[str]:
    """Say why dropout has no place in a U-Net of `depth` levels, which fits the size of the data."""
    levels = unet_depth(depth, data)
    if dropout and levels <= FIRST_DROPOUT_LEVEL + 1:
        yield (
            f"--dropout has no effect with {levels} levels, since it sits in inner levels of generators with at least "
            f"{FIRST_DROPOUT_LEVEL + 2}: give --no-dropout, or images of at least {2 ** (FIRST_DROPOUT_LEVEL + 2)} px"
        )


def resnet_blocks(blocks: int | None, data: DataConfig) -> int:
    """Residual blocks: as given, or 9 from 256 px on and 6 below, as published."""
    return blocks or (9 if min(data.crop_size) >= 256 else 6)


def resnet_problems(data: DataConfig, blocks: int | None) -> Iterator[str]:
    """Say why a residual generator with `blocks` as given does not fit the size of the data."""
    height, width = data.crop_size
    if height % 4 or width % 4:
        yield _no_multiple(data, 4, "the residual generator")
    elif min(height, width) < SMALLEST_RESNET_INPUT:
        yield f"--size {data.size} is too small for the residual generator: at least {SMALLEST_RESNET_INPUT} px"
    if blocks is not None and not 1 <= blocks <= MAX_BLOCKS:
        yield f"--generator-blocks must be from 1 to {MAX_BLOCKS}, not {blocks}"


def discriminator_layers_problems(
    layers: int | None, used: int, scales: int, data: DataConfig, advice: str
) -> Iterator[str]:
    """Say why discriminators with `used` strided layers (`layers` as given) on `scales` scales do not fit the size."""
    if layers is not None and not 1 <= layers <= MAX_DEPTH:
        yield f"--discriminator-layers must be from 1 to {MAX_DEPTH}, not {layers}"
    elif min(data.crop_size) / 2 ** (scales - 1) < 2 ** (used + 2):
        discriminators = (
            f"{scales} discriminators with {used} layers" if scales > 1 else f"a discriminator with {used} layers"
        )
        yield f"--size {data.size} is too small for {discriminators}: lower {advice}"


def feature_problems(weight: float, file: str | None, data: DataConfig) -> Iterator[str]:
    """Say why features cannot be compared with ``--lambda-features`` `weight` and ``--feature-weights`` `file`."""
    if weight == 0:
        if file is not None:
            yield f"--feature-weights {file} has no effect without --lambda-features"
        return
    if file is None:
        yield (
            f"--lambda-features {weight:g} needs --feature-weights FILE, the weights of a network: MobileNet in .npz, "
            "or VGG16, AlexNet or SqueezeNet in .pth or .safetensors"
        )
    if data.label_maps[1] is not None:
        yield "--lambda-features compares pictures, and the outputs are label maps: leave it out"
    elif data.output_channels not in {1, 3}:
        yield f"--lambda-features compares images of 1 or 3 channels, not of --output-channels {data.output_channels}"
    if min(data.crop_size) < SMALLEST_FEATURES_INPUT:
        yield f"--size {data.size} is too small for --lambda-features: at least {SMALLEST_FEATURES_INPUT} px"


def _no_multiple(data: DataConfig, multiple: int, whose: str) -> str:
    height, width = data.crop_size
    near = [max(1, round(side / multiple)) * multiple for side in (height, width)]
    advice = "x".join(str(side) for side in (near if height != width else near[:1]))
    return f"--size {data.size}: {whose} takes multiples of {multiple} px; the nearest is --size {advice}"
