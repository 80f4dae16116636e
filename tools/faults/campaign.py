"""Trials in turn until the time is over, each in the log before the next begins."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.faults.ground import Ground
from tools.faults.log import Entry, append, read_log
from tools.faults.trial import Kind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bounds:
    """How long a campaign goes on.

    Attributes:
        minutes: From its call on.
        tries: Of each kind, those of earlier calls included.
        seed: Decides, with the number of a trial, what is done.
    """

    minutes: float
    tries: int
    seed: int = 0


def go_on(ground: Ground, kinds: Sequence[Kind], path: Path, bounds: Bounds) -> list[Entry]:
    """Make trials, the kind with the fewest first, until a bound is reached; give all entries of the log."""
    end = time.monotonic() + 60 * bounds.minutes
    entries = read_log(path)
    done = {kind.name: sum(entry.kind == kind.name for entry in entries) for kind in kinds}
    while time.monotonic() < end:
        kind = min(kinds, key=lambda kind: done[kind.name])
        if done[kind.name] >= bounds.tries:
            break
        entry = attempt(ground, kind, number=done[kind.name], seed=bounds.seed)
        append(path, entry)
        entries.append(entry)
        done[kind.name] += 1
    return entries


def attempt(ground: Ground, kind: Kind, *, number: int, seed: int) -> Entry:
    """Make one trial; what it was follows from its kind, number and seed."""
    begun = time.monotonic()
    verdict = kind.attempt(ground, random.Random(f"{seed} {kind.name} {number}"))
    seconds = round(time.monotonic() - begun, 2)
    state = "BROKEN" if verdict.wrong else "kept" if verdict.is_possible else "not possible here"
    log.info("%s %d: %s: %s", kind.name, number, state, ". ".join(filter(None, [verdict.did, verdict.wrong])))
    return Entry(kind.name, number, seed, verdict.did, verdict.wrong, verdict.is_possible, seconds)
