"""How batches reach the training step: where the images are kept, the loader, and how long the step waits for it."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import torch

from tandem.config.run import RunConfig
from tandem.data.budget import decoded_budget
from tandem.data.loader import Batch, BatchLoader, Closing
from tandem.data.prefetch import DevicePrefetcher
from tandem.data.resident import ResidentDataset, fill
from tandem.data.samples import SampleDataset
from tandem.report.progress import TaskProgress
from tandem.threads import usable_cores
from tandem.training.inputs import Inputs

log = logging.getLogger(__name__)

DEVICE_SHARE = 0.1
"""Of a GPU's free memory, that decoded images take unless told otherwise."""
MOST_WORKERS = 8
"""Processes that load images unless told otherwise."""
HINT_FROM = 0.1
"""Share of the time spent waiting from which a line says what to change."""


def budget_of(config: RunConfig) -> int:
    """Bytes in which this process keeps decoded images."""
    return decoded_budget(config.data.decoded_gb, processes=_local_processes())


def workers_of(config: RunConfig) -> int:
    """How many processes load images for this one; by default its share of the cores, one of which it needs itself."""
    given = config.training.num_workers
    if given is not None:
        return given
    return max(1, min(MOST_WORKERS, usable_cores() // _local_processes() - 1))


def _local_processes() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def keep_decoded(config: RunConfig, inputs: Inputs, device: torch.device) -> Inputs:
    """Decide where the training images stay decoded, say so in one line, and move them there.

    Raises:
        DataError: A file cannot be read any more.
    """
    train = inputs.train
    if not isinstance(train, SampleDataset) or train.decoded is None:
        return inputs
    needed, most = inputs.report.loaded_bytes, train.decoded.capacity
    size = f"{needed / 1e6:,.0f} MB"
    if needed > most or train.decoded.full:
        train.decoded = None
        log.info(
            "decoded, the training images take %s, more than the %s MB of --decoded-gb: they are read anew each time",
            *(size, f"{most / 1e6:,.0f}"),
        )
        return inputs
    can_go = train.augmentation is None and not train.masked and all(levels.is_by_type for levels in train.levels)
    if not _goes_to_device(config, needed, device, can_go=can_go):
        log.info("the training images stay decoded in memory: %s", size)
        return inputs
    if any(slot not in train.decoded for slot in range(train.num_slots)):
        with TaskProgress("decoding images", None, "images") as progress:
            fill(train, train.decoded, on_progress=progress.callback)
    resident = ResidentDataset(train, device)
    train.decoded = None
    log.info("the training images stay decoded on %s: %s", device, size)
    return replace(inputs, train=resident)


def _goes_to_device(config: RunConfig, needed: int, device: torch.device, *, can_go: bool) -> bool:
    if config.data.decoded_place != "auto":
        return config.data.decoded_place == "device"
    return can_go and device.type == "cuda" and needed <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


class Feed(Closing):
    """The batches of a loader, and the share of the time for which they were waited.

    The first batch does not count: it waits for the workers to start. On a GPU the step goes on while the host waits,
    so the share is the most that waiting can cost.
    """

    def __init__(self, batches: BatchLoader | DevicePrefetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._batches, self._clock = batches, clock
        self._waited = self._worked = 0.0
        self._returned: float | None = None
        self._hinted = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """The next batch; see `BatchLoader`."""
        asked = self._clock()
        batch = next(self._batches)
        now = self._clock()
        if self._returned is not None:
            self._worked += asked - self._returned
            self._waited += now - asked
        self._returned = now
        return batch

    def waiting(self) -> float | None:
        """The share of the time since the last call, in [0, 1]; None where no second batch was asked for since then.

        The first time that it is high, a line says what to change.
        """
        total = self._waited + self._worked
        share = self._waited / total if total else None
        self._waited = self._worked = 0.0
        if share is not None and share > HINT_FROM and not self._hinted:
            self._hinted = True
            log.info(
                "the steps wait for data %.0f %% of the time: raise --num-workers, or --decoded-gb so that the images "
                "stay decoded",
                100 * share,
            )
        return share

    def close(self) -> None:
        """Close the loader."""
        self._batches.close()


def to_device(loader: BatchLoader, device: torch.device) -> BatchLoader | DevicePrefetcher:
    """Start copies to a CUDA device one batch ahead; elsewhere the loader as it is."""
    return DevicePrefetcher(loader, device) if device.type == "cuda" else loader
