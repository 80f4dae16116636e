"""Errors that a user can act on.

    TandemError
    ├── ConfigError           options; carries the problems, each with the option and the value
    │   └── MetricError       a metric that cannot be had; carries its name and the reason
    ├── DataError             images and datasets; carries the file or folder
    ├── DownloadError         a server; carries the URL
    ├── CheckpointError       a training state; carries the file
    │   └── DamagedCheckpointError  one that is not what was written
    ├── BundleError           a model bundle; carries the file or folder
    ├── WeightsError          weights of a metric's network; carries their name, the file, whether they may be fetched
    ├── LostWorkersError      processes that load images, killed again and again
    ├── NonFiniteError        a loss or gradient
    ├── NoMemoryError         memory, of the machine or of a GPU, that is not there
    ├── PeerError             another process of the same command
    └── MissingExtraError     a package that is not installed; carries its name and the extra

Each message says what was given, what was expected and what to change. What a program wants to know of an error is an
attribute: nobody parses a message. The command line prints the message alone; anything that is not a `TandemError` is a
bug of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # start-up time
    from pathlib import Path


LIKENESS = 0.6
"""From here on a name of a method, preset, dataset, metric or choice is alike (`difflib.SequenceMatcher.ratio`)."""


class TandemError(Exception):
    """Base of every error that a user can put right."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with options.

    Attributes:
        text: What was given, what is allowed, what to change.
        option: The option, as on the command line; None where several don't fit together.
        given: Its value.
        instead: The words to write in place of an option that there is not.
        note: What else there is to say of them.
        methods: The methods that have it, where that of the run has not.
        commands: The commands that have it, where this one has not.
        is_unknown: Whether the option does not exist for the command.
    """

    text: str
    option: str | None = None
    given: object = None
    instead: tuple[str, ...] = ()
    note: str = ""
    methods: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    is_unknown: bool = False


class ConfigError(TandemError, ValueError):
    """An option that does not exist, is out of range, has no effect or contradicts another.

    Args:
        message: What is wrong, if it is one thing that is not given as a problem.
        option: The option that it is about.
        problems: Everything that is wrong, instead of `message`.

    Attributes:
        problems: Everything that is wrong.
    """

    def __init__(self, message: str = "", *, option: str | None = None, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems) or (Problem(message, option),)
        super().__init__(message or _together([problem.text for problem in self.problems]))

    @property
    def option(self) -> str | None:
        """The option that the error is about; None where there are several, or none."""
        return self.problems[0].option if len(self.problems) == 1 else None


class MetricError(ConfigError):
    """A metric that was asked for by name and cannot be had.

    Attributes:
        metric: Its name.
        reason: Why not, without a full stop.
    """

    def __init__(self, metric: str, reason: str, *, option: str = "--metrics") -> None:
        self.metric, self.reason = metric, reason
        super().__init__(problems=[Problem(f"{option} {metric}: {reason}", option, metric)])


class _AboutFileError(TandemError):
    """An error about something on the disk.

    Attributes:
        file: The file or folder, as text where it isn't on the disk; None where there are several, or none.
    """

    def __init__(self, message: str, *, file: "Path | str | None" = None) -> None:
        super().__init__(message)
        self.file = file


class DataError(_AboutFileError, ValueError):
    """Images that are missing, unreadable or do not fit together."""


class DownloadError(TandemError):
    """A file that a server does not hand out, or not as it was announced.

    Attributes:
        url: Its address; None where it is not about a single one.
    """

    def __init__(self, message: str, *, url: str | None = None) -> None:
        super().__init__(message)
        self.url = url


class CheckpointError(_AboutFileError, ValueError):
    """A training state that cannot be read or does not belong to this run."""


class DamagedCheckpointError(CheckpointError):
    """A training state that is not what was written: its hash, its format or its name say so."""


class BundleError(_AboutFileError, ValueError):
    """A model bundle that is damaged, hostile or of another format."""


class WeightsError(_AboutFileError, ValueError):
    """Weights of a network that a metric looks through: missing, damaged, hostile, or not the published ones.

    Attributes:
        weights: Their published name; None for those of a file that has none.
        may_download: Whether they would be fetched where they are missing; they are not with downloads switched off.
    """

    def __init__(
        self, message: str, *, file: "Path | str | None" = None, weights: str | None = None, may_download: bool = True
    ) -> None:
        super().__init__(message, file=file)
        self.weights, self.may_download = weights, may_download


class LostWorkersError(TandemError):
    """Processes that load images are killed by the system or by somebody, again and again."""


class NonFiniteError(TandemError, ArithmeticError):
    """A loss or gradient that is not finite; raised before the update that would have spread it."""


class NoMemoryError(TandemError, MemoryError):
    """Memory of the machine or of a GPU that is asked for and not there."""


class PeerError(TandemError):
    """Another process of the same training has ended or cannot be reached, so this one cannot go on."""


class MissingExtraError(TandemError, ImportError):
    """An optional dependency that is not installed.

    Attributes:
        package: Its name.
        extra: The extra of this package that brings it.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'tandem-gan[{extra}]'"
        )


def _together(texts: Sequence[str]) -> str:
    """One problem as a sentence, several as a list."""
    if len(texts) == 1:
        return texts[0] if texts[0].endswith((".", "?")) else f"{texts[0]}."
    return "these options do not work:\n" + "\n".join(f"  - {text}" for text in texts)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the most similar of the `known` names, or an empty text where none is at least `LIKENESS` alike."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=LIKENESS)
    return f" Did you mean {near[0]}?" if near else ""


def listed(items: Sequence[str], limit: int = 20) -> str:
    """Join `items` one a line, the first `limit` of them, then say how many more there are."""
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  … and {len(items) - limit} more ({len(items)} in all)")
    return "\n".join(lines)
