"""Rows of several processes, each of which has measured some of the cases, put together."""

from collections.abc import Sequence

import numpy as np
import torch

from tandem.training.process_group import ProcessGroup

_KEY_BYTES = 32


def gather_rows(
    process_group: ProcessGroup, indices: Sequence[int], keys: Sequence[str], rows: np.ndarray | None
) -> np.ndarray | None:
    """The rows of all processes in the order of their cases, in every process; waits for the slowest.

    Cases of one content get the row of the first of them, as in one process, which measures it once: a row can differ
    in its last bits with the batch that it was measured in.

    Args:
        process_group: The processes; in a process group of one this is `rows`.
        indices: The numbers of the cases that were measured here.
        keys: Their contents, as the cases say them: SHA-256 in hexadecimal digits.
        rows: Their rows, ``(N, …)``; None where there are none.

    Returns:
        ``(N of all, …)``, or None where nobody has rows.

    Raises:
        PeerError: Another process is gone.
    """
    if process_group.size == 1:
        return rows
    # The lengths go through the store, where a wait has no time-out; in a collective it has.
    described = process_group.gather([len(indices), None if rows is None else [rows.dtype.str, *rows.shape[1:]]])
    counts = [count for count, _ in described]
    kinds = [kind for _, kind in described if kind is not None]
    if not kinds:
        return None
    assert all(kind == kinds[0] for kind in kinds), f"rows of different kinds: {kinds}"
    dtype, *shape = kinds[0]
    if rows is None:
        rows = np.empty((0, *shape), np.dtype(dtype))
    digests = np.frombuffer(bytes.fromhex("".join(keys)), np.uint8).reshape(len(keys), _KEY_BYTES)
    of_all = [_of_all(process_group, counts, array) for array in (np.array(indices, np.int64), digests, rows)]
    order = np.argsort(of_all[0], kind="stable")
    first: dict[bytes, int] = {}
    places = [first.setdefault(of_all[1][place].tobytes(), int(place)) for place in order]
    return of_all[2][places]


def _of_all(process_group: ProcessGroup, counts: Sequence[int], own: np.ndarray) -> np.ndarray:
    """Arrays of different lengths below each other, in the order of the ranks."""
    most = max(counts)
    padded = np.zeros((most, *own.shape[1:]), own.dtype)
    padded[: len(own)] = own
    as_bytes = torch.from_numpy(padded.reshape(most, -1).view(np.uint8))  # not every type can be sent
    joined = process_group.gather_rows(as_bytes).numpy().view(own.dtype).reshape(-1, *own.shape[1:])
    return np.concatenate([joined[rank * most : rank * most + count] for rank, count in enumerate(counts)])
