"""``tandem pull USER/NAME``: a model from the Hugging Face Hub."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.manifest import SHARED_MANIFEST_NAME
from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option
from tandem.errors import ConfigError
from tandem.files import belongs_to_others, owned
from tandem.targets import require_folder_target

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PullOptions(Options):
    """What is got, and where it goes."""

    address: str = option(REQUIRED, "model, USER/NAME or USER/NAME@REVISION", positional=True)
    out: Path | None = option(None, "folder for it; by default NAME")


COMMAND = Command("pull", "Get a model from the Hugging Face Hub, checked to the last byte.", {"": PullOptions})


def main(arguments: Sequence[str]) -> int:
    """Parse the options and get the model."""
    (options,) = COMMAND.parse(arguments)
    from tandem.checkpoint.hub import Address, pull  # noqa: PLC0415  (start-up time)

    address = Address.of(options.address)
    out = options.out or Path(address.repo.partition("/")[2])
    require_folder_target(out, "the model")
    if belongs_to_others(out, SHARED_MANIFEST_NAME):
        raise ConfigError(f"--out {out} holds other files and no shared model: give a new folder.", option="--out")
    with owned(out, "writing a model to"):
        manifest = pull(address, out)
    log.info("a %s model: %s", manifest.method, out)
    return 0
