"""Signals that ask a command to end, once or twice."""

import random
import signal
import time

from tools.faults.ground import Ground, leftovers
from tools.faults.process import until
from tools.faults.trial import Kind, Verdict

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send_signals(ground: Ground, draws: random.Random) -> Verdict:
    """Send a command one signal or two at random moments, several times in a row, then let it come to its end."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out, told = ground.fresh(command), []
    for _ in range(draws.randint(1, 3)):
        running = ground.start(command.words(out))
        until(running.has_ended, draws.uniform(0.05, 1.0) * ground.seconds(command))
        kinds = draws.choices(_SIGNALS, k=draws.randint(1, 2))
        for kind in kinds:
            running.kill(kind)
            time.sleep(draws.uniform(0, 0.05))
        ended = running.wait()
        names = " ".join(kind.name for kind in kinds)
        told.append(f"{names}: status {ended.status}")
        fine = {0, *(128 + kind for kind in kinds), *(-kind for kind in kinds)}
        if ended.complaint or ended.status not in fine:
            return Verdict(
                f"{command.name}, {told}", ended.complaint or ended.last_line or "not the status of its signal"
            )
    wrong = ground.ends_like_undisturbed(command)
    left = leftovers(out)
    return Verdict(f"{command.name}, {'; '.join(told)}", wrong or (f"left behind: {left[:3]}" if left else ""))


KINDS = (
    Kind(
        "signals",
        "SIGINT, SIGTERM and SIGHUP, once or twice, end a command with the status of the signal; the same command goes "
        "on to the same end",
        send_signals,
    ),
)
