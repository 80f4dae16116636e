"""``tandem sign DIR``: say with a key that a shared model is one's own."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.options import REQUIRED, Options, option

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignOptions(Options):
    """What is signed with what."""

    model: Path = option(REQUIRED, "folder that tandem export --to hub has written", positional=True)
    key: Path = option(REQUIRED, "private key of an elliptic curve (PEM)")
    signature: Path | None = option(None, "file of the signature; by default NAME.sig beside the folder")


COMMAND = Command("sign", "Sign a model that is shared, with a key of your own.", {"": SignOptions})


def main(arguments: Sequence[str]) -> int:
    """Parse the options and sign."""
    (options,) = COMMAND.parse(arguments)
    from tandem.checkpoint.signature import sign, signature_of  # noqa: PLC0415  (start-up time)

    signature = options.signature or signature_of(options.model)
    sign(options.model, options.key, signature)
    log.info("signed: %s", signature)
    return 0
