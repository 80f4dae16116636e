"""Several processes that measure together have the rows of one that measures alone."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_gather import LateMeans, write_images

from processes import ProcessGroupRun, together
from tandem.evaluation.cases import FileCase, FileHashes, Loaded
from tandem.evaluation.cautions import Thumbnails
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.subject import file_cases, folder_images
from tandem.training.process_group import ProcessGroup


class BatchMarks:
    """Rows that depend on the batch: the mean of the image, and that of its batch."""

    num_samples = 1
    spec = '"batch marks"'

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        means = [one.samples(1)[0].mean() for one in loaded]
        return [np.array([[mean, np.mean(means)]], np.float32) for mean in means]


def measured(
    cases: Sequence[FileCase], batch_size: int, cache: Path | None, process_group: ProcessGroup | None = None
) -> dict[str, np.ndarray]:
    only = {Thumbnails().spec: frozenset({1, 2})}
    measurements = [BatchMarks(), Thumbnails(), LateMeans()]
    return gather(cases, measurements, cache=cache, batch_size=batch_size, only=only, process_group=process_group)


def copied(cases: Sequence[FileCase], *, first: int, second: int) -> list[FileCase]:
    """The same images, with the content of one under the name of another as well."""
    folder = Path(str(cases[first].image.file)).parent
    (folder / f"{second}.png").write_bytes((folder / f"{first}.png").read_bytes())
    return file_cases(folder_images(folder), FileHashes())


@pytest.mark.parametrize(
    ("size", "count", "batch_size"), [(2, 7, 2), (2, 8, 2), (3, 7, 2), (2, 3, 5), (3, 4, 3)], ids=str
)
@pytest.mark.parametrize("has_cache", [False, True])
def test_rows_are_those_of_one_process(tmp_path: Path, size: int, count: int, batch_size: int, has_cache: bool) -> None:
    """Odd numbers, and more processes than batches, included; of equal images the first one's row counts."""
    cases = copied(write_images(tmp_path / "images", count), first=0, second=count - 1)
    alone = measured(cases, batch_size, None)
    cache = tmp_path / "cache" if has_cache else None
    for found in together(lambda process_group: measured(cases, batch_size, cache, process_group), size=size):
        assert found.keys() == alone.keys()
        for spec, rows in found.items():
            assert rows.dtype == alone[spec].dtype
            assert np.array_equal(rows, alone[spec])
    assert len(alone[Thumbnails().spec]) == 2


def test_no_case_at_all() -> None:
    assert together(lambda process_group: measured([], 2, None, process_group)) == [{}, {}]


def test_a_killed_process_ends_the_others_and_its_rows_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.evaluation.rows.cache.FLUSH_SECONDS", 0.0)
    for name, seconds in (("BEAT_SECONDS", 0.05), ("SILENCE_SECONDS", 1.0)):
        monkeypatch.setattr(f"tandem.training.heartbeat.{name}", seconds)
    cases = write_images(tmp_path / "images", 8)
    cache = tmp_path / "cache"

    class Deadly(BatchMarks):
        def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
            if loaded[0].case.name == "6":
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(loaded)

    def work(process_group: ProcessGroup) -> object:
        return gather(cases, [Deadly()], cache=cache, batch_size=2, process_group=process_group)

    first, second = ProcessGroupRun(work).results()
    assert second is None
    assert "PeerError: nothing has been heard of process 1" in first
    batches = []

    class Counting(BatchMarks):
        def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
            batches.append([one.case.name for one in loaded])
            return super().__call__(loaded)

    gather(cases, [Counting()], cache=cache, batch_size=2)
    assert batches == [["6", "7"]]
