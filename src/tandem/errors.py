"""Errors that a user can act on.

Each message says what was given, what was expected and what to change. The command line prints the
message alone; anything that is not a `TandemError` is a bug of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable, Sequence


class TandemError(Exception):
    """Base of every error that a user can put right."""


class ConfigError(TandemError, ValueError):
    """An option that does not exist, is out of range, has no effect or contradicts another."""


class DataError(TandemError, ValueError):
    """Images that are missing, unreadable or do not fit together."""


class DownloadError(TandemError):
    """A file that a server does not hand out, or not as it was announced."""


class CheckpointError(TandemError, ValueError):
    """A training state that cannot be read or does not belong to this run."""


class BundleError(TandemError, ValueError):
    """A model bundle that is damaged, hostile or of another format."""


class WeightsError(TandemError, ValueError):
    """Weights of a network that a metric looks through: missing, damaged, hostile, or not the published ones."""


class NonFiniteError(TandemError, ArithmeticError):
    """A loss or gradient that is not finite; raised before the update that would have spread it."""


class PeerError(TandemError):
    """Another process of the same training has ended or cannot be reached, so this one cannot go on."""


class MissingExtraError(TandemError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'tandem-gan[{extra}]'"
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the most similar of the `known` names, or an empty text."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def listed(items: Sequence[str], limit: int = 20) -> str:
    """Join `items` one a line, the first `limit` of them, then say how many more there are."""
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  … and {len(items) - limit} more ({len(items)} in all)")
    return "\n".join(lines)
