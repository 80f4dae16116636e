"""Measuring many cases: batch by batch, in constant memory but for the rows, from the cache where it knows them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tandem.evaluation.cache import RowCache
from tandem.evaluation.measurements import Measurement
from tandem.evaluation.sources import Case

Progress = Callable[[int, int], None]


def gather(
    cases: Sequence[Case],
    measurements: Sequence[Measurement],
    *,
    cache: Path | None,
    batch_size: int,
    only: Mapping[str, frozenset[int]] | None = None,
    on_progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Measure cases.

    A batch is measured as a whole or taken from the cache as a whole, so that a row does not depend on where an
    earlier evaluation was stopped.

    Args:
        cases: What to measure.
        measurements: How.
        cache: The folder of known rows; None keeps nothing.
        batch_size: Cases that are held at once.
        only: For measurements (by spec) that need not all cases, which ones.
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
    measured: dict[str, list[str]] = {one.spec: [] for one in measurements}
    if on_progress is not None and cases:
        on_progress(0, len(cases))
    try:
        for start in range(0, len(cases), batch_size):
            batch = cases[start : start + batch_size]
            loaded = [case.load() for case in batch]
            for one in ordered:
                wanted = None if only is None else only.get(one.spec)
                kept = [i for i in range(len(batch)) if wanted is None or start + i in wanted]
                if not kept:
                    continue
                keys = [batch[i].key(one.num_samples) for i in kept]
                known = caches[one.spec]
                if not all(key in known for key in keys):
                    known.put(keys, one([loaded[i] for i in kept]))
                measured[one.spec] += keys
            if on_progress is not None:
                on_progress(start + len(batch), len(cases))
    finally:
        for one in caches.values():
            one.flush()
    return {spec: caches[spec].rows(keys) for spec, keys in measured.items() if keys}
