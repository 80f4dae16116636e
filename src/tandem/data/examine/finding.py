"""One thing that was found in data or in a run, with what mends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tandem.errors import listed

Weight = Literal["warning", "info"]


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        name: The same for every finding of its kind, e.g. ``shifted-pairs``.
        weight: A warning is to be mended; all else is to be known.
        text: A sentence.
        advice: What mends it, with the option or command.
        items: Which images, pairs or steps it is about.
    """

    name: str
    weight: Weight
    text: str
    advice: str = ""
    items: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """The object that stands for it."""
        return {
            "name": self.name,
            "weight": self.weight,
            "text": self.text,
            "advice": self.advice,
            "items": list(self.items),
        }

    def describe(self, most: int = 5) -> str:
        """The sentences and the first items, as lines."""
        lead = f"{self.text} {self.advice}".strip()
        return f"{lead}\n{listed(self.items, most)}" if self.items else lead
