"""``tandem verify DIR``: is a shared model what the owner of a key has signed?"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Options):
    """What is checked against what."""

    model: Path = option(REQUIRED, "folder of a model that was shared", positional=True)
    key: Path = option(REQUIRED, "public key of whoever has signed it (PEM)")
    signature: Path | None = option(None, "file of the signature; by default NAME.sig beside the folder")


COMMAND = Command("verify", "Check a shared model against its signature.", {"": VerifyOptions})


def main(arguments: Sequence[str]) -> int:
    """Parse the options and check."""
    (options,) = COMMAND.parse(arguments)
    from tandem.checkpoint.signature import signature_of, verify  # noqa: PLC0415  (start-up time)

    verify(options.model, options.key, options.signature or signature_of(options.model))
    log.info("%s is what the owner of %s has signed", options.model, options.key)
    return 0
