"""How batches come from the processes that load them to the one that trains, and what the system must give for it.

PyTorch hands tensors over in files of ``/dev/shm``, which containers keep small (Docker: 64 MB): a process that writes
beyond it is killed by SIGBUS. Nameless files in memory (memfd) are not bound by it and are taken where it is small.
"""

import logging
import mmap
import os
import sys
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

if sys.platform != "win32":
    import resource

SHARED_MEMORY = Path("/dev/shm")
BATCHES_AHEAD = 2
"""Batches that each process loads ahead."""
MARGIN = 1.5
FILES_OF_PROCESS = 24
"""Open files that a process which loads takes in the one that trains, at the most: pipes, and its batches."""
FREE_FILES = 64
"""Open files that are left for everything else."""
SHARED_PAGES, SHARED_PAGES_OF_PROCESS = 8, 3
"""Pages of ``/dev/shm`` that locks between processes take, whichever way batches go: of all, and of each process."""

log = logging.getLogger(__name__)


def free_shared_memory() -> int | None:
    """Bytes that are free in ``/dev/shm``; None where there is no such thing, so that nothing is bound by it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        status = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def shared_memory_suffices(batch_bytes: int, num_workers: int, *, processes: int = 1) -> bool:
    """Whether ``/dev/shm`` has room for the batches that are loaded ahead."""
    free = free_shared_memory()
    return free is None or free >= MARGIN * batch_bytes * num_workers * (BATCHES_AHEAD + 1) * processes


def usable_workers(num_workers: int) -> int:
    """How many processes may load, as the system limits open files and ``/dev/shm``; own limits are raised."""
    if sys.platform == "win32" or not num_workers:
        return num_workers
    free = free_shared_memory()
    if free is not None and free < mmap.PAGESIZE * (SHARED_PAGES + SHARED_PAGES_OF_PROCESS * num_workers):
        log.warning(
            "/dev/shm has %d bytes free, too few for the locks of %d processes that load images: images are loaded in "
            "this process. Give it more, as with 'docker run --shm-size', for faster loading",
            *(free, num_workers),
        )
        return 0
    return _usable_by_open_files(num_workers)


def _usable_by_open_files(num_workers: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _open_files() + FREE_FILES + num_workers * FILES_OF_PROCESS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return num_workers
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    usable = max(0, (raised - _open_files() - FREE_FILES) // FILES_OF_PROCESS)
    if usable < num_workers:
        log.warning(
            "the system lets this process open %d files, enough for %d of %d processes that load images. Raise the "
            "limit with 'ulimit -n' for more",
            *(raised, usable, num_workers),
        )
    return min(usable, num_workers)


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except OSError:
        return 32


class Parcel:
    """Tensors on their way to another process, in a nameless file in memory; it is opened there once.

    Args:
        tensors: On the CPU.
        rest: What goes along.
    """

    def __init__(self, tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> None:
        arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in tensors.items()}
        self._layout = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
        self._rest = dict(rest)
        self._file = os.fdopen(os.memfd_create("tandem-batch"), "w+b", buffering=0)
        for array in arrays.values():
            content = array.data.cast("B") if array.size else memoryview(b"")
            while content:
                content = content[self._file.write(content) :]

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (DupFd(self._file.fileno()), self._layout, self._rest)


def _opened(handle: Any, layout: Mapping[str, tuple[str, tuple[int, ...]]], rest: dict[str, Any]) -> dict[str, Any]:
    descriptor = handle.detach()
    try:
        memory = mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)
    begin, tensors = 0, {}
    for name, (dtype, shape) in layout.items():
        array = np.frombuffer(memory, dtype, count=int(np.prod(shape)), offset=begin).reshape(shape)
        tensors[name] = torch.from_numpy(array)
        begin += array.nbytes
    return tensors | rest
