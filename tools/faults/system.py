"""What only some systems allow: disks of a given size, namespaces, groups with a limit of memory."""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
_LIMIT_FILES = ("memory.limit_in_bytes", "memory.max")
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS


class Disk:
    """A disk of its own in memory.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, num_bytes: int) -> None:
        """Give it another size."""
        self._mount(f"remount,rw,size={num_bytes}")

    def freeze(self) -> None:
        """Refuse all writing from now on."""
        self._mount("remount,ro")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Disk | None]:
    """Mount a disk on a folder; None where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None:
        yield None
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tandem-faults", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def see_small_shared_memory(num_bytes: int) -> None:
    """Let this process alone see a ``/dev/shm`` of a given size.

    Raises:
        OSError: That is not allowed.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    for words in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", f"size={num_bytes}", "tandem-faults", "/dev/shm"]):
        done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.returncode, done.stderr)


def allows_small_shared_memory() -> bool:
    """Whether `see_small_shared_memory` works, tried in a copy of this process."""
    pid = os.fork()
    if not pid:
        try:
            see_small_shared_memory(4096)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


@contextlib.contextmanager
def memory_group(num_bytes: int) -> Iterator[Path | None]:
    """A group of processes with a limit of memory; a process enters by writing its number into the file."""
    for root in CGROUPS:
        group = root / f"tandem-faults-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            limit = next((group / name for name in _LIMIT_FILES if (group / name).exists()), None)
            if limit is None:
                continue
            limit.write_text(str(num_bytes))
            yield group / "cgroup.procs"
            return
        finally:
            with contextlib.suppress(OSError):
                group.rmdir()
    yield None
