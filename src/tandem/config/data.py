"""What the images are and how they are brought to size."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tandem.config.classes import LabelClasses, read_classes
from tandem.config.options import option
from tandem.errors import ConfigError

Direction = Literal["AtoB", "BtoA"]
Preprocess = Literal["resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"]
LayoutChoice = Literal["auto", "side_by_side"]
Mask = Literal["none", "nodata", "files"]
PUBLISHED_LOAD_RATIO = 286 / 256
MAX_SIDE = 4096
MAX_CHANNELS = 64
"""Of an image."""
DEFAULT_CACHE_GB = 10.0


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Options of the data: direction, size, augmentation, channels."""

    layout: LayoutChoice = option(
        "auto",
        "how A and B lie: auto goes by folders, names and sizes; side_by_side takes files of any size as A | B",
    )
    val_split: float | None = option(
        None,
        "share of the split train, below 1, or number of its pairs, that is held out as the split val, by content and "
        "with nearly equal pictures on one side",
        above=0,
        metavar="SHARE|N",
    )
    direction: Direction = option("AtoB", "which image of a pair is the input")
    size: int | str = option(256, "side of the training images, or height x width", metavar="{N,HxW}", joins="x")
    preprocess: Preprocess = option(
        "resize_and_crop",
        "how images come to size: resized or scaled to --load-size, cropped to --size; none keeps them",
    )
    load_size: int | str | None = option(
        None,
        "size to which images are resized, or width to which they are scaled; by default 286/256 of --size",
        metavar="{N,HxW}",
        joins="x",
    )
    flip: bool = option(True, "flip half of the pairs, both images alike")
    augment_turns: bool = option(
        False, "turn crops by a random number of quarters, both images alike; half turns where they are not square"
    )
    augment_rotate: float = option(0.0, "rotate by up to so many degrees, both images alike", at_least=0, at_most=180)
    augment_scale: float = option(
        0.0, "scale by a factor of up to 1 + so much, or down likewise, both images alike", at_least=0, at_most=3
    )
    augment_elastic: float = option(
        0.0, "bend smoothly by so many px (standard deviation), both images alike", at_least=0, at_most=100
    )
    augment_colour: float = option(
        0.0,
        "change brightness and contrast by up to this share, all channels and each, of one side only",
        at_least=0,
        at_most=1,
    )
    augment_colour_of: Literal["input", "output"] = option("input", "the side of --augment-colour")
    augment_nearest: Literal["none", "input", "output", "both"] = option(
        "none", "sides that hold labels, whose values must not mix where images are moved"
    )
    shuffle: Literal["all", "shards"] = option(
        "all",
        "order of an epoch: over all images, or, of shards, shard by shard, for data larger than --cache-gb",
    )
    cache_gb: float | None = option(
        None,
        f"disk space (10**9 bytes) for shards from a URL, or compressed ones; by default {DEFAULT_CACHE_GB:g}",
        above=0,
    )
    decoded_gb: float | None = option(
        None,
        "memory (10**9 bytes) in which the training images stay decoded if all of them fit; by default a quarter of "
        "what is free, at most 32; 0 is off",
        at_least=0,
    )
    decoded_place: Literal["auto", "ram", "device"] = option(
        "auto",
        "where they stay: in memory that the loader's processes share, or on the device, which then cuts and flips "
        "them; auto is a CUDA device if they take at most a tenth of its free memory",
    )
    input_channels: int = option(
        3,
        "channels of the input images: 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA, or as many as the files have",
        at_least=1,
    )
    output_channels: int = option(
        3,
        "channels of the output images: 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA, or as many as the files have",
        at_least=1,
    )
    range_a: str | None = option(
        None,
        "values of A's files that are black and white, LO,HI (for each channel by itself: LO,HI;LO,HI), or percentiles "
        "of the training images for each channel, e.g. 0.1%,99.9%; by default those of the type, 0,255 or 0,65535",
        metavar="LO,HI",
        joins=",",
    )
    range_b: str | None = option(
        None, "likewise of B's files; outputs get these values again", metavar="LO,HI", joins=","
    )
    classes_a: int | str | None = option(
        None,
        "A's files are label maps: how many classes, the values from 0 on, or a YAML or JSON file with the values and "
        "colours of each",
        metavar="{N,FILE}",
    )
    classes_b: int | str | None = option(
        None, "likewise of B's files; outputs are label maps again", metavar="{N,FILE}"
    )
    mask: Mask = option(
        "none",
        "pixels that are kept out of losses, statistics and metrics: nodata, those that files say hold nothing "
        "(GeoTIFF's nodata, NaN, --nodata); files, those too and the zeros of mask files (trainM, a manifest's mask)",
    )
    nodata: float | None = option(None, "a value of pixels that hold nothing, beside what the files say")
    mask_fill: float = option(
        -1.0, "what networks see in the place of masked pixels, from -1, black, to 1", at_least=-1, at_most=1
    )

    def __post_init__(self) -> None:
        # The classes of a file stay with the run, and say how many channels the networks see.
        for side, flag in (("a", "--classes-a"), ("b", "--classes-b")):
            given = getattr(self, f"classes_{side}")
            if isinstance(given, int | str) and not isinstance(given, bool):
                self._settle(side, read_classes(given, flag), flag)

    def _settle(self, side: str, classes: LabelClasses, flag: str) -> None:
        name = "input_channels" if (side == "a") == (self.direction == "AtoB") else "output_channels"
        given, own = getattr(self, name), type(self).__dataclass_fields__[name].default
        if given not in (own, len(classes)):
            raise ConfigError(
                f"--{name.replace('_', '-')} {given} does not go with the {len(classes)} classes of {flag}, which are "
                "the channels that the networks see: leave it out.",
                option=flag,
            )
        object.__setattr__(self, f"classes_{side}", classes.as_text())
        object.__setattr__(self, name, len(classes))

    @property
    def label_maps(self) -> tuple[LabelClasses | None, LabelClasses | None]:
        """The classes of the model's input and output, after the direction; None where they are pictures."""
        found = [
            None if text is None else read_classes(text, flag)
            for text, flag in ((self.classes_a, "--classes-a"), (self.classes_b, "--classes-b"))
        ]
        return (found[0], found[1]) if self.direction == "AtoB" else (found[1], found[0])

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the training images."""
        return parse_size(self.size, "--size")

    @property
    def augments(self) -> bool:
        """Whether images are augmented beyond crop and flip."""
        sizes = (self.augment_rotate, self.augment_scale, self.augment_elastic, self.augment_colour)
        return self.augment_turns or any(sizes)

    @property
    def fill(self) -> float | None:
        """What masked pixels become, in [-1, 1]; None where pixels are not masked."""
        return None if self.mask == "none" else self.mask_fill

    @property
    def cache_bytes(self) -> int:
        """Disk space for shards that are fetched or unpacked."""
        return round((self.cache_gb or DEFAULT_CACHE_GB) * 1e9)

    @property
    def crops(self) -> bool:
        """Whether training images are cropped to `crop_size`; otherwise it is the least size."""
        return self.preprocess in {"resize_and_crop", "crop", "scale_width_and_crop"}

    @property
    def resize_size(self) -> tuple[int, int] | None:
        """Height and width to which images are resized before the crop; None where the mode does not do that."""
        return self._load_size if self.preprocess == "resize_and_crop" else None

    @property
    def scaled_width(self) -> int | None:
        """Width to which images are scaled with their aspect kept; None where the mode does not do that."""
        return self._load_size[1] if self.preprocess in {"scale_width", "scale_width_and_crop"} else None

    @property
    def _load_size(self) -> tuple[int, int]:
        if self.load_size is not None:
            return parse_size(self.load_size, "--load-size")
        ratio = PUBLISHED_LOAD_RATIO if self.crops else 1  # what is not cropped away need not be loaded
        height, width = self.crop_size
        return round(height * ratio), round(width * ratio)

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        crop, load = self.crop_size, self._load_size
        for name, sides in (("--size", crop), ("--load-size", load)):
            if not all(1 <= side <= MAX_SIDE for side in sides):
                yield f"{name} must be from 1 to {MAX_SIDE} px, not {sides[0]}x{sides[1]}"
        yield from self._problems_of_labels()
        yield from self._problems_of_val_split()
        if self.augments and self.decoded_place == "device":
            yield "--decoded-place device does not augment beyond crop and flip: leave it out, or the --augment options"
        if self.augment_colour_of != "input" and not self.augment_colour:
            yield "--augment-colour-of has no effect without --augment-colour"
        if self.augment_nearest != "none" and not (self.augment_rotate or self.augment_scale or self.augment_elastic):
            yield "--augment-nearest has no effect without --augment-rotate, --augment-scale or --augment-elastic"
        if self.mask == "none":
            given = (("--nodata", self.nodata is not None), ("--mask-fill", self.mask_fill != DataConfig.mask_fill))
            yield from (f"{flag} has no effect without --mask nodata or files" for flag, is_given in given if is_given)
        elif self.decoded_place == "device":
            yield "--decoded-place device does not go with --mask: leave it out"
        if self.load_size is None:
            return
        match self.preprocess:
            case "crop" | "none":
                yield (
                    f"--load-size {self.load_size} has no effect with --preprocess {self.preprocess}: leave it out "
                    "(--load-size null takes it out of a preset)"
                )
            case "scale_width" | "scale_width_and_crop" if not str(self.load_size).strip().isdigit():
                yield (
                    f"--load-size {self.load_size}: with --preprocess {self.preprocess} it is a width alone, e.g. "
                    f"{load[1]}"
                )
            case "resize_and_crop" if load[0] < crop[0] or load[1] < crop[1]:
                yield f"--load-size {self.load_size} is smaller than --size {self.size}, which is cropped from it"
            case "scale_width" | "scale_width_and_crop" if load[1] < crop[1]:
                yield (
                    f"--load-size {self.load_size} is less than the width of --size {self.size}, "
                    + ("which is cropped from it" if self.crops else "which the networks are laid out for")
                )

    def _problems_of_val_split(self) -> Iterator[str]:
        if self.val_split is not None and self.val_split >= 1 and self.val_split % 1:
            yield f"--val-split must be a share below 1 or a whole number, not {self.val_split:g}"
        if self.val_split is not None and self.shuffle == "shards":
            yield "--val-split looks at all images, which --shuffle shards is there to avoid: pack a split val"

    def _problems_of_labels(self) -> Iterator[str]:
        """Say what does not go with label maps, and which numbers of channels only they have."""
        for side in ("a", "b"):
            if getattr(self, f"classes_{side}") is not None and getattr(self, f"range_{side}") is not None:
                yield f"--range-{side} does not go with --classes-{side}: classes have no black and white; leave it out"
        labels = dict(zip(("input", "output"), self.label_maps, strict=True))
        for name, classes in labels.items():
            channels = getattr(self, f"{name}_channels")
            if classes is None and channels > MAX_CHANNELS:
                yield f"--{name}-channels must be from 1 to {MAX_CHANNELS}, not {channels}"
        if self.augment_colour and labels[self.augment_colour_of] is not None:
            other = "output" if self.augment_colour_of == "input" else "input"
            more = f", or give --augment-colour-of {other}" if labels[other] is None else ""
            yield (
                f"--augment-colour changes the {self.augment_colour_of}, which is a label map without brightness: "
                f"leave it out{more}"
            )
        if self.decoded_place == "device" and any(labels.values()):
            yield "--decoded-place device holds pictures alone, not label maps: leave it out"


def with_changes(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Options with changes that win over them; a load size goes with the size that it was given beside.

    It says how much larger than the crop images are loaded, so that a change of the size alone leaves its ratio to the
    size as it was. A change to a mode without a load size takes it away.

    Args:
        options: Names and values, such as those of a preset.
        changes: Likewise, such as those of the command line.

    Raises:
        ConfigError: A size is none.
    """
    merged = {**options, **changes}
    load_size = options.get("load_size")
    if load_size is None or "load_size" in changes:
        return merged
    mode = merged.get("preprocess", DataConfig.preprocess)
    if mode in ("crop", "none"):
        return merged | {"load_size": None}
    if "size" not in changes:
        return merged
    before = parse_size(options.get("size", DataConfig.size), "--size")
    after = parse_size(changes["size"], "--size")
    loaded = parse_size(load_size, "--load-size")
    scaled = [round(load * new / old) for load, new, old in zip(loaded, after, before, strict=True)]
    one = (
        scaled[1]
        if mode in ("scale_width", "scale_width_and_crop") or scaled[0] == scaled[1]
        else f"{scaled[0]}x{scaled[1]}"
    )
    return merged | {"load_size": one}


def parse_size(size: int | str, flag: str) -> tuple[int, int]:
    """Height and width from ``256``, ``"256"`` or ``"256x512"`` (height × width).

    Raises:
        ConfigError: `size` is none of these.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", str(size).strip())
    if match is None:
        raise ConfigError(f"{flag} must be a number of pixels or HEIGHTxWIDTH, e.g. 256 or 256x512, not '{size}'.")
    height = int(match[1])
    return height, int(match[2] or height)
