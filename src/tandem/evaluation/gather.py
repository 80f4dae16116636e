"""Measuring many cases: batch by batch, in constant memory but for the rows, from the cache where it knows them.

While a batch is measured, threads hash and read the files of the next ones, so that the networks need not wait.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tandem.evaluation.cache import RowCache
from tandem.evaluation.measurements import Measurement
from tandem.evaluation.read_ahead import LateRows, read_ahead
from tandem.evaluation.sources import Case, Loaded

Progress = Callable[[int, int], None]


def gather(
    cases: Sequence[Case],
    measurements: Sequence[Measurement],
    *,
    cache: Path | None,
    batch_size: int,
    only: Mapping[str, frozenset[int]] | None = None,
    num_workers: int = 1,
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
        on_progress: Called with cases done and cases in all.

    Returns:
        By the spec of the measurement its rows, ``(N, …)``, in the order of the cases.

    Raises:
        DataError: A case cannot be read or measured; what was measured before is in the cache.
    """
    # Rows of other numbers of samples have other shapes.
    caches = {
        one.spec: RowCache(cache, f'{{"num_samples": {one.num_samples}, "of": {one.spec}}}') for one in measurements
    }
    # The first to ask for samples asks for the most, so that none is generated twice.
    ordered = sorted(measurements, key=lambda one: -one.num_samples)

    def prepare(start: int) -> list[_Part]:
        batch = range(start, min(start + batch_size, len(cases)))
        loaded = {index: cases[index].load() for index in batch}
        parts = []
        for one in ordered:
            wanted = None if only is None else only.get(one.spec)
            kept = [index for index in batch if wanted is None or index in wanted]
            if not kept:
                continue
            parts.append(_Part(one, [cases[i].key(one.num_samples) for i in kept], [loaded[i] for i in kept]))
            if not caches[one.spec].knows(parts[-1].keys):
                for image in parts[-1].loaded:
                    image.read_ahead(one.num_samples)
        return parts

    measured: dict[str, list[str]] = {one.spec: [] for one in measurements}
    late: list[tuple[RowCache, list[str], LateRows]] = []
    if on_progress is not None and cases:
        on_progress(0, len(cases))
    starts = range(0, len(cases), batch_size)
    try:
        for start, parts in zip(starts, read_ahead(prepare, starts, num_threads=num_workers), strict=True):
            later: list[tuple[RowCache, list[str], LateRows]] = []
            for part in parts:
                known = caches[part.measurement.spec]
                measured[part.measurement.spec] += part.keys
                if known.knows(part.keys):
                    continue
                rows = part.measurement(part.loaded)
                if isinstance(rows, LateRows):
                    later.append((known, part.keys, rows))
                else:
                    known.put(part.keys, rows)
            # The device has its next work by now; only then are the rows of the batch before waited for.
            _put_all(late)
            late = later
            if on_progress is not None:
                on_progress(min(start + batch_size, len(cases)), len(cases))
    finally:
        try:
            _put_all(late)
        finally:
            for one in caches.values():
                one.flush()
    return {spec: caches[spec].rows(keys) for spec, keys in measured.items() if keys}


@dataclass(frozen=True)
class _Part:
    """What a measurement needs of a batch."""

    measurement: Measurement
    keys: list[str]
    loaded: list[Loaded]


def _put_all(late: Sequence[tuple[RowCache, list[str], LateRows]]) -> None:
    for known, keys, rows in late:
        known.put(keys, rows)
