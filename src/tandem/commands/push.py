"""``tandem push DIR USER/NAME``: a model to the Hugging Face Hub."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PushOptions(Options):
    """What is sent where."""

    model: Path = option(REQUIRED, "folder that tandem export --to hub has written", positional=True)
    address: str = option(REQUIRED, "where to, USER/NAME, or USER/NAME@BRANCH", positional=True)
    private: bool = option(False, "make the repository private, where it is made", one_way=True)


COMMAND = Command("push", "Send a model to the Hugging Face Hub; log in before, 'hf auth login'.", {"": PushOptions})


def main(arguments: Sequence[str]) -> int:
    """Parse the options and send the model."""
    (options,) = COMMAND.parse(arguments)
    from tandem.checkpoint.hub import Address, push  # noqa: PLC0415  (start-up time)

    url = push(options.model, Address.of(options.address), private=options.private)
    log.info("sent: %s", url)
    return 0
