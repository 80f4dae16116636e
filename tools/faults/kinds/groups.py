"""Several processes of one training, of which one is killed or stalled."""

import os
import random
import signal
import time
from pathlib import Path

from tests.processes import free_port, place
from tools.faults.ground import Ground, state_hash
from tools.faults.process import HUNG, Ended, Running, start, until
from tools.faults.trial import Kind, Verdict

_SIZE = 2
SECONDS = 100.0
"""A stalled process is given up after 30 s of silence, and the others have 5 s to end by themselves."""
MEETING_SECONDS = 60.0
"""What both may take to start; who has not met the others is waited for much longer."""


def _start(ground: Ground) -> list[Running]:
    port = free_port()
    words = ground.training(ground.out, "--batch-size", "4")

    def enter(rank: int) -> None:
        os.environ.update(place(rank, _SIZE, port))

    return [
        start(words, ground.folder / f"log-{rank}.txt", before=lambda rank=rank: enter(rank)) for rank in range(_SIZE)
    ]


def _finish(ground: Ground) -> str:
    ended = [one.wait(SECONDS) for one in _start(ground)]
    return next((f"status {one.status}: {one.last_line}" for one in ended if one.status or one.complaint), "")


def _have_met(log: Path) -> bool:
    """Whether the main process says something of its data, which it looks at once all are there."""
    return log.exists() and b"images" in log.read_bytes()


def lose_rank(ground: Ground, draws: random.Random) -> Verdict:
    """Kill or stall one of two processes; the other ends by itself, and the same command comes to the same end."""
    wanted = ground.folder / "group-hash.txt"
    if not wanted.exists():
        ground.fresh()
        if wrong := _finish(ground):
            raise RuntimeError(f"two processes fail undisturbed: {wrong}")
        wanted.write_text(state_hash(ground.out))
    ground.fresh()
    log = ground.folder / "log-0.txt"
    log.unlink(missing_ok=True)
    running = _start(ground)
    lost, kind = draws.randrange(_SIZE), draws.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP])
    others = [one for rank, one in enumerate(running) if rank != lost]
    until(lambda: running[lost].has_ended() or _have_met(log), MEETING_SECONDS)
    until(running[lost].has_ended, draws.uniform(0.0, 6.0))
    begun = time.monotonic()
    running[lost].kill(kind)
    ended: list[Ended] = [one.wait(SECONDS) for one in others]
    seconds = time.monotonic() - begun
    running[lost].kill(signal.SIGKILL)
    running[lost].kill(signal.SIGCONT)
    running[lost].wait(5.0)
    did = f"rank {lost} of {_SIZE} gets {kind.name}: the other ends with {ended[0].status} after {seconds:.0f} s"
    if ended[0].status == HUNG or ended[0].complaint:
        return Verdict(did, ended[0].complaint)
    if wrong := _finish(ground):
        return Verdict(did, f"the same command again: {wrong}")
    return Verdict(did, "" if state_hash(ground.out) == wanted.read_text() else "the weights differ")


KINDS = (
    Kind(
        "lost-rank",
        "Where one of several processes that have met is killed or stalls, the others end within a minute; the next "
        "call goes on to the same end",
        lose_rank,
    ),
)
