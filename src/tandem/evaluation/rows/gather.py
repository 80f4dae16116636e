"""Measuring many cases: batch by batch, in constant memory but for the rows, from the cache where it knows them.

While a batch is measured, threads hash and read the files of the next ones, so that the networks need not wait. Several
processes take the batches in turn and put their rows together.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tandem.data.in_parallel import in_parallel
from tandem.evaluation.cases import Case, Loaded
from tandem.evaluation.rows.cache import RowCache
from tandem.evaluation.rows.exchange import gather_rows
from tandem.evaluation.rows.measurement import Measurement
from tandem.evaluation.rows.read_ahead import LateRows
from tandem.training.process_group import ProcessGroup

Progress = Callable[[int, int], None]


def gather(
    cases: Sequence[Case],
    measurements: Sequence[Measurement],
    *,
    cache: Path | None,
    batch_size: int,
    only: Mapping[str, frozenset[int]] | None = None,
    num_workers: int = 1,
    process_group: ProcessGroup | None = None,
    on_progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Measure cases.

    A batch is measured as a whole or taken from the cache as a whole, so that a row does not depend on where an
    earlier evaluation was stopped.

    Args:
        cases: What to measure.
        measurements: How.
        cache: The folder of known rows; None keeps nothing.
        batch_size: Cases that are measured at once.
        only: For measurements (by spec) that need not all cases, which ones.
        num_workers: Threads that read files ahead, each a batch; so many more batches are held.
        process_group: The processes that share the work, all of which must call this; by default this one alone.
        on_progress: Called with cases done (in all processes, about) and cases in all.

    Returns:
        By the spec of the measurement its rows, ``(N, …)``, in the order of the cases; in every process all of them.

    Raises:
        DataError: A case cannot be read or measured; what was measured before is in the cache.
        PeerError: Another process is gone; likewise.
    """
    # Rows of other numbers of samples have other shapes.
    caches = {
        one.spec: RowCache(cache, f'{{"num_samples": {one.num_samples}, "of": {one.spec}}}') for one in measurements
    }
    # The first to ask for samples asks for the most, so that none is generated twice.
    ordered = sorted(measurements, key=lambda one: -one.num_samples)
    reader = _Reader(cases, ordered, caches, batch_size, only or {})
    done: dict[str, list[_Part]] = {one.spec: [] for one in measurements}
    late: list[tuple[_Part, LateRows]] = []
    if on_progress is not None and cases:
        on_progress(0, len(cases))
    rank, size = (0, 1) if process_group is None else (process_group.rank, process_group.size)
    starts = range(rank * batch_size, len(cases), size * batch_size)
    try:
        for start, parts in zip(
            starts, in_parallel(reader.read, starts, num_threads=num_workers, ahead=num_workers), strict=True
        ):
            later = _measure(parts)
            for part in parts:
                done[part.measurement.spec].append(dataclasses.replace(part, loaded=[]))
            # The device has its next work by now; only then are the rows of the batch before waited for.
            _put_all(late)
            late = later
            if on_progress is not None:
                on_progress(min(start + size * batch_size, len(cases)), len(cases))
    finally:
        try:
            _put_all(late)
        finally:
            for one in caches.values():
                one.flush()
    found = {spec: _joined(parts, process_group) for spec, parts in done.items()}
    return {spec: rows for spec, rows in found.items() if rows is not None}


@dataclass(frozen=True)
class _Part:
    """What a measurement needs of a batch."""

    measurement: Measurement
    known: RowCache
    indices: list[int]
    keys: list[str]
    loaded: list[Loaded]


@dataclass(frozen=True)
class _Reader:
    """Hashes and reads the files of a batch, in any thread."""

    cases: Sequence[Case]
    measurements: Sequence[Measurement]
    caches: Mapping[str, RowCache]
    batch_size: int
    only: Mapping[str, frozenset[int]]

    def read(self, start: int) -> list[_Part]:
        """What each measurement needs of the batch that begins there; of rows that are known nothing is read."""
        batch = range(start, min(start + self.batch_size, len(self.cases)))
        loaded = {index: self.cases[index].load() for index in batch}
        parts = []
        for one in self.measurements:
            wanted = self.only.get(one.spec)
            kept = [index for index in batch if wanted is None or index in wanted]
            if not kept:
                continue
            keys = [self.cases[index].key(one.num_samples) for index in kept]
            parts.append(_Part(one, self.caches[one.spec], kept, keys, [loaded[index] for index in kept]))
            if not self.caches[one.spec].knows(keys):
                for index in kept:
                    loaded[index].read_ahead(one.num_samples)
        return parts


def _measure(parts: Sequence[_Part]) -> list[tuple[_Part, LateRows]]:
    """Measure what is not known of a batch, and return the parts whose rows a GPU is still at."""
    late: list[tuple[_Part, LateRows]] = []
    for part in parts:
        if part.known.knows(part.keys):
            continue
        rows = part.measurement(part.loaded)
        if isinstance(rows, LateRows):
            late.append((part, rows))
        else:
            part.known.put(part.keys, rows)
    return late


def _put_all(late: Sequence[tuple[_Part, LateRows]]) -> None:
    for part, rows in late:
        part.known.put(part.keys, rows)


def _joined(parts: Sequence[_Part], process_group: ProcessGroup | None) -> np.ndarray | None:
    """The rows of one measurement, of all processes."""
    keys = [key for part in parts for key in part.keys]
    rows = parts[0].known.rows(keys) if keys else None
    if process_group is None or process_group.size == 1:
        return rows
    return gather_rows(process_group, [i for part in parts for i in part.indices], keys, rows)
