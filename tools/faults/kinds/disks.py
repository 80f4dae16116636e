"""Disks: full, read-only, and files that vanish or are replaced while a command reads or writes them."""

import os
import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from tools.faults.ground import Command, Ground
from tools.faults.process import Ended, until
from tools.faults.system import small_disk
from tools.faults.trial import Kind, Verdict, not_possible

_MESSAGE_ENDS = {0, 1, 2, 3}
"""3 is the doctor's, where it finds something."""
_LARGE = 1 << 28
READERS = (
    *("train", "train-workers", "sample", "sample-zarr", "evaluate", "prior"),
    *("data-pack", "data-prepare", "data-separate", "data-preview", "doctor"),
)
"""Commands that read a dataset."""


def broken(ended: Ended) -> str:
    """What is wrong with a command that was disturbed and may end with success, or with a message and status 1 to 3."""
    if ended.complaint or ended.status not in _MESSAGE_ENDS:
        return f"status {ended.status}: {ended.complaint or ended.last_line}"
    if ended.status and not ended.last_line:
        return f"status {ended.status} without a word"
    return ""


def fill_disk(ground: Ground, draws: random.Random) -> Verdict:
    """Let a disk, or the largest file, be full at some byte; then there is room, and the command is called again."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out = ground.fresh(command)
    if draws.random() < 0.3:
        return _limit_files(ground, command, round(2 ** draws.uniform(0, 18)))
    used = sum(path.stat().st_size for path in out.rglob("*")) if out.exists() else 0
    room = used + round(2 ** draws.uniform(13, 20))
    shutil.rmtree(out, ignore_errors=True)
    with small_disk(ground.place, room) as disk:
        if disk is None:
            return _limit_files(ground, command, room - used)
        try:
            command.prepare(out)
        except OSError:
            return not_possible("the disk is too small for what the command starts from")
        ended = ground.call(command.words(out))
        disk.resize(_LARGE)
        did = f"{command.name} on a disk of {room:,} bytes: status {ended.status}"
        return Verdict(did, broken(ended) or ground.ends_like_undisturbed(command))


def _limit_files(ground: Ground, command: Command, size: int) -> Verdict:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ended = ground.call(command.words(ground.out), before=limit)
    wrong = broken(ended)
    if wrong.endswith("without a word") and size < 1000:  # the log of the trial is a file too
        wrong = ""
    did = f"{command.name} with files of at most {size:,} bytes: status {ended.status}"
    return Verdict(did, wrong or ground.ends_like_undisturbed(command))


def freeze_disk(ground: Ground, draws: random.Random) -> Verdict:
    """Make the disk read-only before a command or while it runs, and then writable again."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out = ground.fresh()
    with small_disk(ground.place, _LARGE) as disk:
        if disk is None:
            return not_possible("disks cannot be mounted here")
        command.prepare(out)
        moment = draws.choice([0.0, draws.uniform(0, 1.0) * ground.seconds(command)])
        if moment:
            running = ground.start(command.words(out))
            until(running.has_ended, moment)
            state = _freeze(disk.freeze)
            ended = running.wait()
        else:
            state = _freeze(disk.freeze)
            ended = ground.call(command.words(out))
        disk.resize(_LARGE)
        did = f"{command.name} on a disk that is {state} after {moment:.2f} s: status {ended.status}"
        return Verdict(did, broken(ended) or ground.ends_like_undisturbed(command))


def _freeze(freeze: Callable[[], None]) -> str:
    try:
        freeze()
    except OSError as error:
        return f"not frozen ({error})"
    except Exception:  # a file is open for writing: the system refuses
        return "busy, so not frozen,"
    return "read-only"


def _as_garbage(path: Path, draws: random.Random) -> None:
    path.write_bytes(draws.randbytes(draws.randint(0, 4000)))


def _cut(path: Path, draws: random.Random) -> None:
    os.truncate(path, draws.randint(0, path.stat().st_size))


def _flip(path: Path, draws: random.Random) -> None:
    content = bytearray(path.read_bytes() or b"\0")
    content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    path.write_bytes(content)


def _as_folder(path: Path, draws: random.Random) -> None:
    del draws
    path.unlink()
    path.mkdir()


def _as_pipe(path: Path, draws: random.Random) -> None:
    del draws
    path.unlink()
    os.mkfifo(path)


def _as_dangling_link(path: Path, draws: random.Random) -> None:
    del draws
    path.unlink()
    path.symlink_to("nowhere")


def _remove(path: Path, draws: random.Random) -> None:
    del draws
    path.unlink()


def _remove_folder(path: Path, draws: random.Random) -> None:
    del draws
    shutil.rmtree(path.parent)


_DAMAGES = (_as_garbage, _cut, _flip, _as_folder, _as_pipe, _as_dangling_link, _remove, _remove_folder)


def damage(folder: Path, draws: random.Random) -> str:
    """Damage one file in a folder, and say what was done; nothing where it holds none, or it is gone meanwhile."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return "nothing"
    path, change = draws.choice(files), draws.choice(_DAMAGES)
    try:
        change(path, draws)
    except OSError:
        return "nothing"
    return f"{path.relative_to(folder)} {change.__name__.strip('_')}"


def damage_data(ground: Ground, draws: random.Random) -> Verdict:
    """Damage the dataset, before or while a command reads it; it must end, with success or with a message."""
    command = ground.commands()[draws.choice(READERS)]
    ground.expected(command)
    out = ground.fresh(command)
    copy = ground.place / "data"
    shutil.copytree(ground.data, copy)
    words = [copy if word == ground.data else word for word in command.words(out)]
    done = [damage(copy, draws)] if draws.random() < 0.5 else []
    running = ground.start(words)
    for _ in range(draws.randint(0, 2)):
        until(running.has_ended, draws.uniform(0, 0.5) * ground.seconds(command))
        done.append(damage(copy, draws))
    ended = running.wait()
    return Verdict(f"{command.name}, of its data: {'; '.join(done)}: status {ended.status}", broken(ended))


def damage_output(ground: Ground, draws: random.Random) -> Verdict:
    """Damage what a command has written, while it runs or after it; no call of it hangs or ends without a message."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out = ground.fresh(command)
    running = ground.start(command.words(out))
    until(running.has_ended, draws.uniform(0, 1.3) * ground.seconds(command))
    done = [damage(out, draws)]
    first = running.wait()
    done.append(damage(out, draws))
    second = ground.call(command.words(out))
    did = f"{command.name}, of its output: {'; '.join(done)}: status {first.status} and {second.status}"
    return Verdict(did, broken(first) or broken(second))


KINDS = (
    Kind(
        "full-disk",
        "On a full disk a command ends with a message; when there is room again, it ends like an undisturbed one",
        fill_disk,
    ),
    Kind("read-only-disk", "The same on a disk that is or becomes read-only", freeze_disk),
    Kind(
        "damaged-data",
        "Data that is damaged, removed or replaced by pipes, folders or links, also while it is read, is a message",
        damage_data,
    ),
    Kind(
        "damaged-output",
        "So is damage to what a command has written, while it writes and when it is called again",
        damage_output,
    ),
)
