"""Several commands at once in one folder, and readers beside a training that writes."""

import random
import time

from tools.faults.ground import Ground
from tools.faults.kinds.disks import broken
from tools.faults.process import start, until
from tools.faults.trial import Kind, Verdict


def share_folder(ground: Ground, draws: random.Random) -> Verdict:
    """Start a command two or three times into one folder; one does the work, the others are refused or find it done."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    words = command.words(ground.fresh(command))
    number = draws.randint(2, 3)
    running = []
    for index in range(number):
        running.append(start(words, ground.folder / f"log-{index}.txt"))
        time.sleep(draws.choice([0.0, draws.uniform(0, 0.6) * ground.seconds(command)]))
    ended = [one.wait() for one in running]
    did = f"{command.name}, {number} at once: status {', '.join(str(one.status) for one in ended)}"
    wrong = next(filter(None, map(broken, ended)), "")
    if not wrong and all(one.status for one in ended):
        wrong = f"none has done the work: {ended[0].last_line}"
    return Verdict(did, wrong or ground.difference(command) or ground.ends_like_undisturbed(command))


def read_while_training(ground: Ground, draws: random.Random) -> Verdict:
    """Sample, evaluate, export and draw of a run that trains; they end, and the training is what it would have been."""
    command = ground.commands()["train"]
    ground.expected(command)
    out = ground.fresh(command)
    words = command.words(out)
    writer = start(words, ground.folder / "log-0.txt")
    readers = {
        "sample": ["sample", out, ground.data, "--out", ground.place / "read", "--num-samples", "1", "--device", "cpu"],
        "export": ["export", out, "--out", ground.place / "read"],
        "timeline": ["timeline", out, "--out", ground.place / "read.gif"],
        "prior": ["prior", out, "--out", ground.place / "read", "--device", "cpu"],
    }
    name = draws.choice(list(readers))
    told = []
    while not writer.has_ended():
        until(writer.has_ended, draws.uniform(0.1, 0.6) * ground.seconds(command))
        ended = start(readers[name], ground.folder / "log-1.txt").wait()
        told.append(str(ended.status))
        if wrong := broken(ended):
            writer.kill()
            writer.wait()
            return Verdict(f"{name} beside a training", wrong)
    trained = writer.wait()
    did = f"{name} beside a training: status {', '.join(told)}"
    if trained.status or trained.complaint:
        return Verdict(did, f"training: status {trained.status}: {trained.complaint or trained.last_line}")
    return Verdict(did, ground.difference(command))


KINDS = (
    Kind(
        "one-folder",
        "Of commands in one folder at once one does the work, the others are refused or find it done",
        share_folder,
    ),
    Kind(
        "readers",
        "Who reads a run that trains gets a whole model or a message, and the run stays the same",
        read_while_training,
    ),
)
