"""From the images to the step: what is kept where, what waiting is, batches one ahead."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from decoded_data import assert_same, dataset, take, write

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.config.training import TrainingConfig
from tandem.data.augment import TrainTransform
from tandem.data.budget import DEFAULT_MOST, decoded_budget, free_memory
from tandem.data.check import check_data
from tandem.data.decoded import DecodedImages
from tandem.data.loader import Batch, make_loader
from tandem.data.prefetch import DevicePrefetcher
from tandem.data.resident import ResidentDataset
from tandem.data.samples import SampleDataset
from tandem.errors import DataError
from tandem.training.feed import Feed, budget_of, keep_decoded, workers_of
from tandem.training.inputs import Inputs, open_inputs

CPU = torch.device("cpu")
LOADED = 5 * 2 * 3 * 36 * 36
"""Bytes of the five pairs at their load size, 286/256 of 32 px."""


def config(**data: Any) -> RunConfig:
    return RunConfig(
        data=DataConfig(**({"size": 32} | data)),
        objective=BicycleGANConfig(generator_depth=3),
        training=TrainingConfig(),
    )


def opened(tmp_path: Path, decoded_bytes: int, **data: Any) -> Inputs:
    return open_inputs(config(**data), tmp_path / "data", cache=tmp_path / "cache", decoded_bytes=decoded_bytes)


def train_of(inputs: Inputs) -> SampleDataset:
    assert isinstance(inputs.train, SampleDataset)
    return inputs.train


def test_the_check_fills_the_memory_and_a_remembered_one_leaves_it_to_the_loader(tmp_path: Path) -> None:
    write(tmp_path / "data", "folders")
    first = train_of(opened(tmp_path, LOADED))
    assert first.decoded is not None
    assert first.decoded.used == LOADED
    assert opened(tmp_path, 0).report.loaded_bytes == LOADED
    second = train_of(opened(tmp_path, LOADED))
    assert second.decoded is not None
    assert second.decoded.used == 0
    plain = train_of(opened(tmp_path, 0))
    assert plain.decoded is None
    expected = take(plain, 6)
    assert_same(take(first, 6), expected)
    assert_same(take(second, 6, num_workers=1), expected)
    assert second.decoded.used == LOADED


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_the_check_puts_both_domains_where_they_belong(tmp_path: Path, direction: str) -> None:
    root = write(tmp_path, "unpaired")
    plain, kept = (dataset(root, "unpaired", direction=direction, channels_b=1) for _ in range(2))
    kept.decoded = DecodedImages(kept.num_slots, 1 << 20)
    settings: dict[str, Any] = {"channels_a": 3, "channels_b": 1, "direction": direction}
    check_data([kept.split], **settings, transform=kept.transform, on_images=kept.keep)  # type: ignore[arg-type, list-item]
    assert all(slot in kept.decoded for slot in range(kept.num_slots))
    assert_same(take(kept, 8), take(plain, 8))


@pytest.mark.parametrize(("mode", "expected"), [("none", 16 * 12), ("crop", 16 * 12), ("scale_width", 24 * 18)])
def test_bytes_are_counted_as_images_are_loaded(tmp_path: Path, mode: str, expected: int) -> None:
    root = write(tmp_path, "side_by_side", same_size=True)
    folder = dataset(root, "side_by_side").split
    width = 18 if mode == "scale_width" else None
    transform = TrainTransform((8, 8), flip=True, load_width=width, crop=mode == "crop", multiple=1)
    report = check_data([folder], channels_a=3, channels_b=1, transform=transform)
    assert report.loaded_bytes == 5 * (3 + 1) * expected


def test_files_changed_between_two_starts_are_seen(tmp_path: Path) -> None:
    write(tmp_path / "data", "folders")
    before = take(opened(tmp_path, LOADED).train, 3)
    for path in (tmp_path / "data" / "trainA").iterdir():
        (tmp_path / "data" / "trainB" / path.name).replace(path)
        (tmp_path / "data" / "trainB" / path.name).write_bytes(path.read_bytes())
    after = take(opened(tmp_path, LOADED).train, 3)
    assert not torch.equal(before[0]["a"], after[0]["a"])
    assert_same(after, take(opened(tmp_path, 0).train, 3))
    assert torch.equal(after[0]["a"], after[0]["b"])


def test_where_images_stay_is_said_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tandem")
    write(tmp_path / "data", "folders")
    expected = take(opened(tmp_path, 0).train, 3)
    for budget, place, kind, line in (
        (LOADED, "ram", SampleDataset, "the training images stay decoded in memory: 0 MB"),
        (LOADED, "auto", SampleDataset, "the training images stay decoded in memory: 0 MB"),
        (LOADED, "device", ResidentDataset, "the training images stay decoded on cpu: 0 MB"),
        (LOADED - 1, "device", SampleDataset, "more than the 0 MB of --decoded-gb: they are read anew each time"),
        (0, "ram", SampleDataset, ""),
    ):
        caplog.clear()
        options = config(decoded_place=place)
        inputs = keep_decoded(options, opened(tmp_path, budget, decoded_place=place), CPU)
        assert isinstance(inputs.train, kind)
        assert_same(take(inputs.train, 3), expected)
        assert line in caplog.text
        assert len(caplog.records) == (1 if line else 0)
        if line.startswith("more"):
            assert train_of(inputs).decoded is None


def test_waiting_is_the_share_of_the_time_after_the_first_batch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tandem")
    # asked, returned: 100 s for the first batch; then 9 s of work and 1 of waiting, 3 and 1; 1 and 3
    feed = Feed(batches(), clock=iter([0, 100, 109, 110, 113, 114, 115, 118]).__next__)  # type: ignore[arg-type]
    next(feed)
    assert feed.waiting() is None
    next(feed)
    assert feed.waiting() == 0.1
    assert not caplog.records
    next(feed)
    assert feed.waiting() == 0.25
    next(feed)
    assert feed.waiting() == 0.75
    assert [record.getMessage() for record in caplog.records] == [
        "the steps wait for data 25 % of the time: raise --num-workers, or --decoded-gb so that the images stay decoded"
    ]


def batches() -> Iterator[Batch]:
    for position in itertools.count():
        yield Batch(a=torch.zeros(1), b=torch.zeros(1), names=[""], positions=[position])


def test_a_prefetcher_reads_one_ahead_and_raises_in_its_turn(tmp_path: Path) -> None:
    root = write(tmp_path, "side_by_side")
    source = dataset(root, "side_by_side")
    expected = take(source, 6)
    with DevicePrefetcher(make_loader(source, start=0, batch_size=3, num_workers=1), CPU) as prefetcher:
        assert_same(list(itertools.islice(prefetcher, 6)), expected)
    path = Path(str(source.split.pairs[source.slots_at(4)[0]].file_a))  # type: ignore[union-attr]
    path.write_bytes(b"")
    order = [source.slots_at(position)[0] for position in range(5)]
    bad = order.index(source.slots_at(4)[0])
    with DevicePrefetcher(make_loader(source, start=0, batch_size=1, num_workers=0), CPU) as prefetcher:
        assert [next(prefetcher)["positions"] for _ in range(bad)] == [[position] for position in range(bad)]
        with pytest.raises(DataError, match=rf"{path}: the file is empty"):
            next(prefetcher)


def proc(root: Path, available: int, *, limit: str = "", current: int = 0, statistics: str = "") -> tuple[Path, Path]:
    """The files in which Linux says how much memory there is, in bytes."""
    root.mkdir()
    (root / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {available // 1024} kB\n")
    if limit:
        for name, text in (("max", limit), ("current", str(current)), ("stat", statistics)):
            (root / f"memory.{name}").write_text(f"{text}\n")
    return root, root


def test_free_memory_obeys_the_limit_of_a_container(tmp_path: Path) -> None:
    assert free_memory(*proc(tmp_path / "machine", 8192)) == 8192
    assert free_memory(*proc(tmp_path / "no limit", 8192, limit="max", current=5000)) == 8192
    stat = "anon 1000\ninactive_file 500\n"
    assert free_memory(*proc(tmp_path / "limit", 8192, limit="6000", current=5000, statistics=stat)) == 1500
    assert free_memory(*proc(tmp_path / "wide", 8192, limit="60000", current=5000, statistics=stat)) == 8192
    assert free_memory(tmp_path / "none", tmp_path / "none") > 1 << 28
    assert 1 << 28 < free_memory() < 1 << 50


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    def workers(cores: int, processes: int, given: int | None = None) -> int:
        monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        options = config()
        return workers_of(replace(options, training=replace(options.training, num_workers=given)))

    assert [workers(cores, 1) for cores in (1, 2, 4, 9, 64)] == [1, 1, 3, 8, 8]
    assert [workers(16, processes) for processes in (2, 4, 8, 16)] == [7, 3, 1, 1]
    assert [workers(16, 4, given) for given in (0, 2, 20)] == [0, 2, 20]


def test_the_budget_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.data.budget.free_memory", lambda: 40_000_000_000)
    assert decoded_budget(None) == 10_000_000_000
    assert decoded_budget(None, processes=4) == 2_500_000_000
    assert decoded_budget(2.5, processes=2) == 1_250_000_000
    assert decoded_budget(0) == 0
    assert decoded_budget(1000) == 36_000_000_000
    monkeypatch.setattr("tandem.data.budget.free_memory", lambda: 1 << 50)
    assert decoded_budget(None) == DEFAULT_MOST
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert budget_of(config(decoded_gb=2)) == 500_000_000
