"""Models that are called by a name, wherever a path is expected: what a command has made and kept for this user.

``demo`` is the model of ``tandem demo``, trained on data that Tandem has drawn itself. A file or folder of that name in
the working folder goes before it.
"""

from pathlib import Path

from tandem.files import cache_folder

MADE_BY = {"demo": "'tandem demo' makes and keeps it"}
"""The names, and what makes each model."""


def named_folder(path: Path) -> Path | None:
    """The folder of the model whose name is `path`, which need not be there; None where that is a path."""
    return kept_folder(str(path)) if str(path) in MADE_BY and not path.exists() else None


def kept_folder(name: str) -> Path:
    """Where the model of a name is kept."""
    return cache_folder() / "models" / name
