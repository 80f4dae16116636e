"""``tandem convert FILE.pth… --to DIR``: a model of weights that an official implementation has saved."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.checkpoint.manifest import MANIFEST_NAME
from tandem.commands.parser import Command
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import MAX_SIDE, DataConfig, Direction
from tandem.config.options import REQUIRED, Options, option, same
from tandem.config.pix2pix import Pix2PixConfig
from tandem.config.specifications import Activation
from tandem.errors import ConfigError, Problem
from tandem.files import belongs_to_others, owned
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(Options):
    """Which files, where to, and what the files do not say."""

    files: tuple[Path, ...] = option(
        REQUIRED,
        "files of weights: a generator, its encoder beside it, or CycleGAN's two generators (.pth, .pt, .pkl)",
        positional=True,
    )
    to: Path = option(REQUIRED, "folder for the model")
    method: Literal["bicyclegan", "pix2pix", "cyclegan", "cut"] | None = option(
        None, "the method that trained them; by default it follows from the networks"
    )
    direction: Direction = same(DataConfig, "direction")
    size: int | None = option(
        None,
        "side of the training images; by default what the levels of a U-Net make 1 px of, and 256 with others",
        at_least=4,
        at_most=MAX_SIDE,
    )
    latent_dim: int | None = option(
        None,
        "length of the latent (nz), which only an encoder says where the input is joined with z; else 8; 0: no z",
        at_least=0,
        below=4097,
    )
    activation: Activation = same(BicycleGANConfig, "activation")
    norm: Literal["instance", "none"] = option(
        "instance", "the norm of networks whose weights look the same with and without it"
    )
    dropout: bool = option(True, "dropout in pix2pix's U-Net, which no file shows; other networks are as the file says")
    test_noise: bool = same(Pix2PixConfig, "test_noise")

    def problems(self) -> Iterator[Problem]:
        """Say why the model cannot be written there."""
        yield from folder_problems(self.to, "a model", option="--to")


COMMAND = Command(
    "convert",
    "Make a model of weights that BicycleGAN, pix2pix, CycleGAN or CUT has saved; what they don't say are options.",
    {"": ConvertOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, read the files and write the model."""
    (options,) = COMMAND.parse(arguments)
    from tandem.checkpoint.convert import Told, convert  # noqa: PLC0415  (imports torch)

    if belongs_to_others(options.to, MANIFEST_NAME):
        raise ConfigError(f"--to {options.to} holds other files and no model: give a new folder.", option="--to")
    told = Told(
        method=options.method,
        direction=options.direction,
        size=options.size,
        latent_dim=options.latent_dim,
        activation=options.activation,
        norm=options.norm,
        dropout=options.dropout,
        test_noise=options.test_noise,
    )
    with owned(options.to, "writing a model to", option="--to"):
        manifest = convert(options.files, options.to, told)
    height, width = manifest.preprocessing.size
    log.info("a %s model for %d×%d px, %s: %s", manifest.method, width, height, options.direction, options.to)
    return 0
