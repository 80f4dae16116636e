"""The stream of batches: its order, its micro-batches, its errors and its end."""

import itertools
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tandem.data.augment import TrainTransform
from tandem.data.datasets import PairedDataset, Sample
from tandem.data.discover import find_splits
from tandem.data.loader import Batch, SampleSource, make_loader
from tandem.data.micro_batches import MicroBatches
from tandem.errors import ConfigError, DataError


@pytest.fixture
def dataset(tmp_path: Path) -> PairedDataset:
    (tmp_path / "train").mkdir()
    rng = np.random.default_rng(0)
    for index in range(7):
        array = rng.integers(0, 256, (8, 20, 3), dtype=np.uint8)
        Image.fromarray(array).save(tmp_path / "train" / f"{index}.png")
    folder = find_splits(tmp_path)["train"]
    crop = TrainTransform((8, 10), flip=True, load_size=(12, 14))
    return PairedDataset(folder, transform=crop, direction="BtoA", channels_a=1, channels_b=3, seed=5)


class Threads:
    """Samples that tell how the process that made them is set up."""

    def __len__(self) -> int:
        return 1

    def files_at(self, position: int) -> list[str]:
        return [str(position)]

    def __getitem__(self, position: int) -> Sample:
        value = torch.tensor([[[float(torch.get_num_threads())]]])
        return Sample(a=value, b=value, name=str(os.getpid()), position=position)


def take(dataset: SampleSource, count: int, **options: Any) -> list[Batch]:
    settings: dict[str, Any] = {"start": 0, "batch_size": 3, "num_workers": 0} | options
    with make_loader(dataset, **settings) as loader:
        return list(itertools.islice(loader, count))


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second) > 0
    for x, y in zip(first, second, strict=True):
        assert torch.equal(x["a"], y["a"])
        assert torch.equal(x["b"], y["b"])
        assert (x["names"], x["positions"]) == (y["names"], y["positions"])


def test_batches_are_the_samples_in_order(dataset: PairedDataset) -> None:
    batches = take(dataset, 6)
    assert [batch["positions"] for batch in batches] == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(6)]
    assert batches[0]["a"].shape == (3, 1, 8, 10)
    assert batches[0]["b"].shape == (3, 3, 8, 10)
    for batch in batches:
        for row, position in enumerate(batch["positions"]):
            sample = dataset[position]
            assert torch.equal(batch["a"][row], sample["a"])
            assert torch.equal(batch["b"][row], sample["b"])
            assert batch["names"][row] == sample["name"]


def test_any_number_of_workers_gives_the_same(dataset: PairedDataset) -> None:
    expected = take(dataset, 8, start=4)
    for num_workers in (1, 2):
        assert_same(take(dataset, 8, start=4, num_workers=num_workers), expected)


@pytest.mark.parametrize("skipped", [1, 5])
def test_starting_later_equals_skipping(dataset: PairedDataset, skipped: int) -> None:
    assert_same(take(dataset, 4, start=3 * skipped), take(dataset, 4 + skipped)[skipped:])


@pytest.mark.parametrize("parts", [1, 2])
def test_micro_batches_of_processes_make_up_the_batch(dataset: PairedDataset, parts: int) -> None:
    """Every share has its piece of each part, and every sample is in exactly one share."""
    together = take(dataset, 2, start=2, batch_size=8)
    processes = [
        take(
            dataset,
            4,
            start=2,
            batch_size=8,
            micro_batches=MicroBatches.of_process(rank, 2, per_process=2, parts=parts),
        )
        for rank in range(2)
    ]
    for step, whole in enumerate(together):
        micro_batches = [process[2 * step + number] for process in processes for number in range(2)]
        pieces = [batch["a"].chunk(parts) for batch in micro_batches]
        assert torch.equal(torch.cat([piece[part] for part in range(parts) for piece in pieces]), whole["a"])
        assert sorted(position for batch in micro_batches for position in batch["positions"]) == whole["positions"]


def test_halves_are_shared_out_by_hand() -> None:
    micro_batches = MicroBatches.of_process(1, 2, per_process=2, parts=2)
    assert list(itertools.islice(micro_batches.positions(100, 16), 3)) == [
        [104, 105, 112, 113],
        [106, 107, 114, 115],
        [120, 121, 128, 129],
    ]


def test_a_batch_that_cannot_be_split_equally(dataset: PairedDataset) -> None:
    with pytest.raises(ConfigError, match=r"--batch-size 6 cannot be split equally.*need a multiple of 4"):
        make_loader(dataset, start=0, batch_size=6, num_workers=0, micro_batches=MicroBatches.of_process(0, 2, parts=2))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_file_arrives_as_it_was_raised(dataset: PairedDataset, num_workers: int) -> None:
    position = 4
    path = Path(str(dataset.split.pairs[dataset.index_at(position)].file_a))
    path.write_bytes(path.read_bytes()[:200])
    with make_loader(dataset, start=0, batch_size=3, num_workers=num_workers) as loader:
        assert next(loader)["positions"] == [0, 1, 2]
        with pytest.raises(DataError) as caught:
            next(loader)
        with pytest.raises(DataError) as expected:
            dataset[position]
    assert str(caught.value) == str(expected.value)
    assert str(caught.value).startswith(f"{path}: damaged or truncated")


def test_closing_ends_the_workers_at_once(dataset: PairedDataset) -> None:
    before = set(multiprocessing.active_children())
    loader = make_loader(dataset, start=0, batch_size=2, num_workers=2)
    next(loader)
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    begin = time.monotonic()
    loader.close()
    assert not any(worker.is_alive() for worker in workers)
    assert time.monotonic() - begin < 4  # the patience of torch before it kills is 5 s
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


def test_workers_leave_signals_to_the_training_process(dataset: PairedDataset) -> None:
    expected = take(dataset, 12)
    with make_loader(dataset, start=0, batch_size=3, num_workers=1) as loader:
        batches = [next(loader)]
        (worker,) = multiprocessing.active_children()
        assert worker.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.pid, number)
        batches += itertools.islice(loader, 11)
        assert worker.is_alive()
    assert_same(batches, expected)


def test_workers_use_one_thread_and_only_as_many_as_asked() -> None:
    (batch,) = take(Threads(), 1, num_workers=1)
    assert batch["a"].flatten().tolist() == [1.0] * 3
    assert batch["names"][0] != str(os.getpid())
    (batch,) = take(Threads(), 1)
    assert batch["names"] == [str(os.getpid())] * 3


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_global_random_state_is_not_touched(dataset: PairedDataset, num_workers: int) -> None:
    before = torch.get_rng_state()
    take(dataset, 2, num_workers=num_workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_impossible_options_are_named_together(dataset: PairedDataset) -> None:
    with pytest.raises(ConfigError) as caught:
        make_loader(dataset, start=-1, batch_size=0, num_workers=-2)
    for part in ("start is -1", "batch size is 0", "workers is -2"):
        assert part in str(caught.value)
