"""A kind of fault, and what came of one trial of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tools.faults.ground import Ground


@dataclass(frozen=True)
class Verdict:
    """What came of a trial.

    Attributes:
        did: What was done to which command.
        wrong: How the promise was broken; empty where it was kept.
        is_possible: Whether this system allows such a trial at all.
    """

    did: str
    wrong: str = ""
    is_possible: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: What the log and the options call it.
        promise: What must hold in every trial, as the table says it.
        attempt: Makes one trial out of random draws.
    """

    name: str
    promise: str
    attempt: Callable[[Ground, random.Random], Verdict]


def not_possible(reason: str) -> Verdict:
    """A trial that this system does not allow."""
    return Verdict(reason, is_possible=False)
