"""Images that stay decoded: the same pixels as from the files, within the budget, in memory that processes share."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from decoded_data import KINDS, TRANSFORMS, assert_same, dataset, take, write
from torch.utils.data import DataLoader, Dataset

from tandem.data.augment import TrainTransform
from tandem.data.decoded import DecodedImages, planes_of
from tandem.data.micro_batches import MicroBatches
from tandem.data.pixels import pil_from_array
from tandem.data.resident import ResidentDataset, fill
from tandem.errors import ConfigError, DataError

LARGE = 1 << 20
LITTER = """
import os, signal
import numpy as np
from tandem.data.augment import TrainTransform
from tandem.data.decoded import DecodedImages
images = DecodedImages(10, 100_000_000)
images.put(0, np.zeros((3, 1000, 1000), np.uint8))
if not os.fork():
    signal.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", TRANSFORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_the_files(tmp_path: Path, kind: str, mode: str) -> None:
    root, transform = write(tmp_path, kind), TRANSFORMS[mode]
    settings: dict[str, Any] = {"direction": "BtoA", "channels_a": 1, "channels_b": 4}
    options = {"batch_size": 3 if transform.crop else 1}
    expected = take(dataset(root, kind, transform, **settings), 8, **options)
    kept = dataset(root, kind, transform, **settings)
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    assert_same(take(kept, 8, **options), expected)  # decodes
    fill(kept, kept.decoded)
    for file in root.rglob("*"):
        if file.suffix != ".json" and file.is_file():
            file.unlink()
    assert_same(take(kept, 8, **options), expected)
    resident = ResidentDataset(kept, torch.device("cpu"))
    assert_same(take(resident, 8, num_workers=2, pin_memory=True, **options), expected)
    later = 5 * options["batch_size"]
    assert_same(take(resident, 3, start=later, **options), expected[5:])
    assert_same(take(kept, 3, start=later, **options), expected[5:])


def test_each_process_gets_its_micro_batches(tmp_path: Path) -> None:
    root = write(tmp_path, "folders")
    expected, kept = dataset(root, "folders"), dataset(root, "folders")
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    fill(kept, kept.decoded)
    for source in (kept, ResidentDataset(kept, torch.device("cpu"))):
        for rank in range(3):
            own = MicroBatches.of_process(rank, 3, per_process=2, parts=2)
            options = {"micro_batches": own, "batch_size": 24, "start": 4}
            assert_same(take(source, 4, **options), take(expected, 4, **options))


@pytest.mark.parametrize(("method", "num_workers"), [("fork", 2), ("spawn", 1)])
def test_workers_fill_what_all_see(tmp_path: Path, method: str, num_workers: int) -> None:
    root = write(tmp_path, "unpaired")
    expected = take(dataset(root, "unpaired"), 30)
    kept = dataset(root, "unpaired")
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    source, options = cast("Dataset", kept), {"num_workers": num_workers, "multiprocessing_context": method}
    loader = DataLoader(source, batch_size=None, sampler=range(90), **options)  # type: ignore[arg-type]
    samples = list(loader)
    for position, sample in enumerate(samples):
        batch, row = expected[position // 3], position % 3
        assert torch.equal(sample["a"], batch["a"][row])
        assert torch.equal(sample["b"], batch["b"][row])
    assert all(slot in kept.decoded for slot in range(kept.num_slots))
    assert kept.decoded.used == kept.num_slots * 3 * 12 * 14  # each once, though two workers decode
    for file in root.rglob("*.*"):
        file.unlink()
    assert_same(take(kept, 30, num_workers=2), expected)


def test_no_more_is_held_than_allowed(tmp_path: Path) -> None:
    root = write(tmp_path, "side_by_side", count=7)
    expected = take(dataset(root, "side_by_side"), 12)
    size = 6 * 12 * 14
    kept = dataset(root, "side_by_side")
    kept.decoded = DecodedImages(kept.num_slots, 3 * size + size // 2)
    assert_same(take(kept, 12, num_workers=2), expected)
    assert kept.decoded.full
    assert kept.decoded.used == 3 * size
    assert sum(slot in kept.decoded for slot in range(7)) == 3
    with pytest.raises(ConfigError, match="4 of 7 images have not been decoded"):
        ResidentDataset(kept, torch.device("cpu"))
    with pytest.raises(ConfigError, match="keeps no decoded images"):
        ResidentDataset(dataset(root, "side_by_side"), torch.device("cpu"))
    with pytest.raises(ConfigError, match="0 slots and 5 bytes"):
        DecodedImages(0, 5)


def test_only_what_is_written_takes_memory() -> None:
    images = DecodedImages(1000, 1 << 40)
    block = np.arange(3 * 64 * 64, dtype=np.uint8).reshape(3, 64, 64)
    assert images.put(5, block)
    assert images.put(5, block + 1)  # is there already
    (found,) = images.get(5) or ()
    assert np.array_equal(found, block)
    assert images.get(6) is None
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0, 0] = 1
    allocated = 512 * os.fstat(images._file.fileno()).st_blocks
    assert block.size <= allocated < block.size + 10 * os.sysconf("SC_PAGE_SIZE") + 32 * 1000


class Slow:
    """An image whose copying takes so long that somebody else comes with the same one."""

    dtype, shape = np.dtype(np.uint8), (3, 2, 2)

    def __init__(self, images: DecodedImages) -> None:
        self.images = images
        self.met: list[bool] = []

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        del copy
        pixels = np.arange(12, dtype=dtype or np.uint8).reshape(self.shape)
        self.met.append(self.images.put(0, pixels))
        assert self.images.get(0) is None
        return pixels


def test_two_that_decode_the_same_image_take_its_room_once() -> None:
    images = DecodedImages(2, 30)
    slow = Slow(images)
    assert images.put(0, slow)  # type: ignore[arg-type]
    assert slow.met == [True]
    assert images.used == 12
    (found,) = images.get(0) or ()
    assert found.flatten().tolist() == list(range(12))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not say what is shared")
def test_workers_do_not_multiply_the_memory() -> None:
    held = 60_000_000
    images = DecodedImages(1, held)
    images.put(0, np.ones((3, held // 3000, 1000), np.uint8))
    context = multiprocessing.get_context("fork")
    ready, go = context.Barrier(3), context.Event()

    def look() -> None:
        (planes,) = images.get(0) or ()
        assert planes.sum(dtype=np.int64) == held // 3000 * 3000  # maps every page
        ready.wait()
        go.wait()

    workers = [context.Process(target=look) for _ in range(2)]
    for worker in workers:
        worker.start()
    ready.wait()
    try:
        for worker in workers:
            assert memory(worker.pid, "Rss") > held
            assert memory(worker.pid, "Pss") < memory(worker.pid, "Rss") - held / 2
            assert memory(worker.pid, "Private_Clean") + memory(worker.pid, "Private_Dirty") < held / 2
    finally:
        go.set()
    for worker in workers:
        worker.join()


def memory(pid: int | None, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
@pytest.mark.parametrize("before", ["", "import os; del os.memfd_create"])
def test_a_killed_process_leaves_nothing_behind(tmp_path: Path, before: str) -> None:
    places = [Path("/dev/shm"), tmp_path]
    files = [set(place.iterdir()) for place in places]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", before + LITTER], env=environment, start_new_session=True)
    assert process.wait(60) == -signal.SIGKILL
    os.killpg(process.pid, signal.SIGKILL)  # the worker
    assert [set(place.iterdir()) - old for place, old in zip(places, files, strict=True)] == [set(), set()]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_file_is_named_as_without(tmp_path: Path, num_workers: int) -> None:
    root = write(tmp_path, "side_by_side")
    plain, kept = dataset(root, "side_by_side"), dataset(root, "side_by_side")
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    path = Path(str(kept.split.pairs[kept.slots_at(4)[0]].file_a))  # type: ignore[union-attr]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError) as expected:
        plain[4]
    with pytest.raises(DataError) as found:
        take(kept, 5, batch_size=1, num_workers=num_workers)
    assert str(found.value) == str(expected.value)
    with pytest.raises(DataError) as found:
        fill(kept, kept.decoded)
    assert str(found.value) == str(expected.value)


def test_sizes_that_differ_are_refused_as_without(tmp_path: Path) -> None:
    root = write(tmp_path, "folders")
    kept = dataset(root, "folders", TRANSFORMS["none"])
    with pytest.raises(DataError, match="images of different sizes cannot share a batch") as expected:
        take(kept, 1)
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    fill(kept, kept.decoded)
    with pytest.raises(DataError) as found:
        take(ResidentDataset(kept, torch.device("cpu")), 1)
    assert str(found.value) == str(expected.value)


def test_planes_are_contiguous_and_keep_their_type() -> None:
    for dtype in (np.uint8, np.uint16):
        planes = planes_of(np.arange(12, dtype=dtype).reshape(2, 2, 3))
        assert planes.tolist() == [[[0, 3], [6, 9]], [[1, 4], [7, 10]], [[2, 5], [8, 11]]]
        assert (planes.dtype, planes.flags.c_contiguous) == (dtype, True)


def test_every_image_of_a_slot_keeps_its_type() -> None:
    kept = DecodedImages(9, 1000)
    types = [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.float16, np.float32, np.float64]
    for slot, dtype in enumerate(types):
        number = np.array(0.3).astype(dtype) if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
        assert kept.put(slot, np.full((1, 1, 3), 7, np.uint8), np.full((2, 1, 2), number, dtype))
    for slot, dtype in enumerate(types):
        odd, planes = kept.get(slot) or ()
        assert (odd.tolist(), planes.shape, planes.dtype) == ([[[7] * 3]], (2, 1, 2), dtype)
        assert np.unique(planes).tolist() == [dtype(0.3) if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max]
        assert planes.flags.aligned


@pytest.mark.parametrize("sixteen", ["A", "B", "both"])
def test_sixteen_bits_beside_eight(tmp_path: Path, sixteen: str) -> None:
    """Each image keeps its type: from files, decoded and on the device; 16 bits take two bytes."""
    draw, written = np.random.default_rng(0), {}
    for side, index in itertools.product("AB", range(5)):
        dtype = np.uint16 if sixteen in (side, "both") else np.uint8
        written[side, index] = draw.integers(0, np.iinfo(dtype).max, (12, 14, 1), dtype, endpoint=True)
        (tmp_path / f"train{side}").mkdir(exist_ok=True)
        pil_from_array(written[side, index]).save(tmp_path / f"train{side}" / f"{index}.png")
    options = {"direction": "AtoB", "channels_a": 1, "channels_b": 1}
    transform = TrainTransform((12, 14), flip=False, crop=False)
    kept = dataset(tmp_path, "folders", transform, **options)
    expected = take(dataset(tmp_path, "folders", transform, **options), 4)
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    fill(kept, kept.decoded)
    assert kept.decoded.used == 5 * 12 * 14 * (4 if sixteen == "both" else 3)
    assert_same(take(kept, 4), expected)
    assert_same(take(ResidentDataset(kept, torch.device("cpu")), 4), expected)
    for batch in expected:
        for name, a, b in zip(batch["names"], batch["a"], batch["b"], strict=True):
            for side, tensor in (("A", a), ("B", b)):
                values = written[side, int(name)]
                exact = values[:, :, 0] / (np.iinfo(values.dtype).max / 2) - 1
                assert np.abs(tensor[0].numpy() - exact).max() < 1e-6


def test_files_of_both_depths_in_one_domain(tmp_path: Path) -> None:
    for side, index in itertools.product("AB", range(4)):
        (tmp_path / f"train{side}").mkdir(exist_ok=True)
        values = np.full((8, 10, 1), 40000 if index % 2 else 100, np.uint16 if index % 2 else np.uint8)
        pil_from_array(values).save(tmp_path / f"train{side}" / f"{index}.png")
    transform = TrainTransform((8, 10), flip=False, crop=False)
    kept = dataset(tmp_path, "folders", transform, channels_a=1, channels_b=1)
    expected = take(kept, 4)
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    fill(kept, kept.decoded)
    assert_same(take(ResidentDataset(kept, torch.device("cpu")), 4), expected)
    shown = {
        (name, round(a.mean().item(), 4))
        for batch in expected
        for name, a in zip(batch["names"], batch["a"], strict=True)
    }
    assert {value for _, value in shown} == {round(100 / 127.5 - 1, 4), round(40000 / 32767.5 - 1, 4)}


def test_progress_counts_what_is_there_already(tmp_path: Path) -> None:
    kept = dataset(write(tmp_path, "unpaired"), "unpaired")
    kept.decoded = DecodedImages(kept.num_slots, LARGE)
    kept[0]
    seen: list[tuple[int, int]] = []
    fill(kept, kept.decoded, on_progress=lambda done, total: seen.append((done, total)), num_threads=2)
    assert seen == [(done, 12) for done in range(3, 13)]
