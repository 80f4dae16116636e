"""Measuring in batches: files read ahead in threads, and rows that come late."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tandem.data.in_parallel import in_parallel
from tandem.errors import DataError
from tandem.evaluation.cases import FileCase, FileHashes, Loaded
from tandem.evaluation.cautions import Thumbnails
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.rows.read_ahead import LateRows
from tandem.evaluation.subject import file_cases, folder_images


def write_images(folder: Path, count: int) -> list[FileCase]:
    folder.mkdir()
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return file_cases(folder_images(folder), FileHashes())


class LateMeans:
    """The mean of each image, computed when it is asked for; `events` says when that was."""

    num_samples = 1
    spec = '"late means"'

    def __init__(self) -> None:
        self.events: list[str] = []
        self._batches = 0

    def __call__(self, loaded: Sequence[Loaded]) -> LateRows:
        number, self._batches = self._batches, self._batches + 1
        self.events.append(f"begin {number}")
        images = [one.samples(1)[0] for one in loaded]

        def arrive() -> list[np.ndarray]:
            self.events.append(f"wait {number}")
            return [np.array([image.mean()]) for image in images]

        return LateRows(len(images), arrive)


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_results_come_in_order(num_threads: int) -> None:
    def slow(item: int) -> int:
        time.sleep(0.01 * (item % 3))
        return item * item

    assert list(in_parallel(slow, range(10), num_threads=num_threads, ahead=num_threads)) == [
        item * item for item in range(10)
    ]
    assert list(in_parallel(slow, [], num_threads=num_threads, ahead=num_threads)) == []


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_no_more_is_read_than_the_threads_are_for(num_threads: int) -> None:
    begun: list[int] = []
    results = in_parallel(begun.append, range(100), num_threads=num_threads, ahead=num_threads)
    for taken in range(1, 5):
        next(results)
        time.sleep(0.02)
        assert len(begun) <= taken + num_threads
    results.close()  # type: ignore[attr-defined]  # a generator
    stopped = len(begun)
    time.sleep(0.02)
    assert len(begun) == stopped <= 4 + num_threads
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("in-parallel")]


def test_threads_work_while_the_caller_does() -> None:
    """Two threads that wait for each other, and the caller for both: nobody would go on with fewer."""
    meeting = threading.Barrier(3, timeout=10)

    def meet(_: int) -> int:
        return meeting.wait()

    def items() -> Iterator[int]:
        yield from (0, 1)
        meeting.wait()

    assert len(list(in_parallel(meet, items(), num_threads=2, ahead=2))) == 2


def test_an_error_is_raised_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise DataError("damaged")
        return item

    results = in_parallel(work, range(5), num_threads=4, ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(DataError, match="damaged"):
        next(results)


def test_rows_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    cases = write_images(tmp_path / "images", 11)
    found = []
    for num_workers in (0, 1, 4):
        progress: list[tuple[int, int]] = []
        rows = gather(
            cases,
            [Thumbnails()],
            cache=None,
            batch_size=3,
            num_workers=num_workers,
            on_progress=lambda done, total, kept=progress: kept.append((done, total)),
        )
        found.append(rows[Thumbnails().spec])
        assert progress == [(0, 11), (3, 11), (6, 11), (9, 11), (11, 11)]
    assert found[0].shape == (11, 16 * 16 * 3)
    assert all(np.array_equal(found[0], rows) for rows in found)


def test_late_rows_are_waited_for_when_the_next_batch_has_begun(tmp_path: Path) -> None:
    cases = write_images(tmp_path / "images", 5)
    late = LateMeans()
    rows = gather(cases, [late], cache=tmp_path / "cache", batch_size=2)[late.spec]
    assert late.events == ["begin 0", "begin 1", "wait 0", "begin 2", "wait 1", "wait 2"]
    assert np.array_equal(rows[:, 0], [case.load().samples(1)[0].mean() for case in cases])
    late.events.clear()
    assert np.array_equal(gather(cases, [late], cache=tmp_path / "cache", batch_size=2)[late.spec], rows)
    assert late.events == []


def test_what_was_measured_before_a_damaged_file_is_kept(tmp_path: Path) -> None:
    cases = write_images(tmp_path / "images", 6)
    damaged = tmp_path / "images" / "4.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:200])
    with pytest.raises(DataError, match=r"4\.png: damaged or truncated"):
        gather(cases, [LateMeans()], cache=tmp_path / "cache", batch_size=2, num_workers=3)
    damaged.write_bytes(whole)
    cases = file_cases(folder_images(tmp_path / "images"), FileHashes())
    again = LateMeans()
    gather(cases, [again], cache=tmp_path / "cache", batch_size=2)
    assert again.events == ["begin 0", "wait 0"]
