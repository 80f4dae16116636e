"""What a part of the acceptance run is given, and what it finds."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the whole run.

    Attributes:
        device: Where Tandem computes.
        smoke: Small settings, to see that everything runs.
        data: A dataset of pairs such as facades; None draws the demo dataset.
        out: Folder of the report.
        work: Folder of datasets and runs, which later calls continue.
        minutes: Of the training.
    """

    device: str
    smoke: bool
    data: Path | None
    out: Path
    work: Path
    minutes: float

    def as_text(self) -> str:
        """As JSON, for another process."""
        return json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in asdict(self).items()})

    @classmethod
    def from_text(cls, text: str) -> "Settings":
        """The inverse of `as_text`."""
        values = json.loads(text)
        for name in ("out", "work", "data"):
            values[name] = None if values[name] is None else Path(values[name])
        return cls(**values)


class SkippedPart(Exception):  # noqa: N818  (no error)
    """A part cannot run here; the message says why."""


@dataclass
class Outcome:
    """What a part has found.

    Attributes:
        result: JSON values.
        markdown: The same for readers, without a heading.
        failures: What is not as it should be.
    """

    result: dict[str, Any]
    markdown: str
    failures: list[str] = field(default_factory=list)
