"""The folder of checkpoints: whole files only, the last few and the best kept, damage named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tandem import tensors as tensor_files
from tandem.checkpoint.store import Best, CheckpointStore
from tandem.errors import CheckpointError
from tandem.tensors import read_metadata, read_tensors, write_tensors

TENSORS = {"a/weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3, dtype=torch.int64)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save(store: CheckpointStore, step: int, score: float | None = None) -> Path:
    return store.save(step, TENSORS, {"step": step}, score=score)


def test_gives_back_what_was_saved(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "new" / "checkpoints")
    assert store.steps() == []
    assert store.best_step() is None
    metadata = {"step": 12, "config": {"size": "64x32", "lambda": 0.1, "none": None, "text": "größer"}}
    given = TENSORS | {
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.randn(3).bfloat16(),
        "wide": torch.randn(2, dtype=torch.float64),
        "channels_last": torch.randn(1, 3, 4, 4).to(memory_format=torch.channels_last),
        "empty": torch.zeros(0, 2),
    }
    path = store.save(12, given, metadata, score=0.5)
    assert path.name == "step-00000012.safetensors"
    assert store.metadata(12) == metadata
    found = store.tensors(12)
    assert found.keys() == given.keys()
    for name, value in given.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_saving_again_replaces_the_step(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 5)
    store.save(5, {"b": torch.ones(1)}, {"second": True})
    assert store.metadata(5) == {"second": True}
    assert store.tensors(5).keys() == {"b"}


def test_a_write_that_fails_midway_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up in the middle of the file."""
    store = CheckpointStore(tmp_path, keep_last=1)
    save(store, 1)
    before = store.folder.joinpath("step-00000001.safetensors").read_bytes()

    def fails(tensors: Any, path: Path, metadata: Any) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files, "save_file", fails)
        for step in (1, 2):
            with pytest.raises(OSError, match="No space left"):
                save(store, step)
    assert names(tmp_path) == ["step-00000001.safetensors"]
    assert (tmp_path / "step-00000001.safetensors").read_bytes() == before
    assert store.steps() == [1]


def test_clean_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    (tmp_path / ".step-00000002.safetensors.77.tmp").write_bytes(b"half")
    assert store.steps() == [1]
    store.clean()
    assert names(tmp_path) == ["step-00000001.safetensors"]
    CheckpointStore(tmp_path / "nothing").clean()


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for name in ("step-1.safetensors", "step-00000001.pt", "xstep-00000001.safetensors", "best.safetensors"):
        (tmp_path / name).write_bytes(b"")
    save(store, 123_456_789)
    assert store.steps() == [123_456_789]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "header", "missing"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, damage: str) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    path = save(store, 2)
    whole = path.read_bytes()
    content = {"truncated": whole[:-1], "empty": b"", "text": b"hello, this is text", "header": b"\xff" * 8 + whole[8:]}
    path.unlink() if damage == "missing" else path.write_bytes(content[damage])
    for read in (store.metadata, store.tensors):
        with pytest.raises(CheckpointError, match=r"cannot be read.*Remove it to continue from step 1") as caught:
            read(2)
        assert str(path) in str(caught.value)
    path.unlink(missing_ok=True)
    (tmp_path / "step-00000001.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="It is the only one: begin a new run"):
        store.metadata(1)


def test_foreign_files_and_other_formats(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    path = save(store, 1)
    save_file(TENSORS, path)
    with pytest.raises(CheckpointError, match="was not written by Tandem"):
        store.metadata(1)
    write_tensors(path, TENSORS, {"format": 2, "step": 1, "score": None, "state": {}})
    with pytest.raises(CheckpointError, match="has the checkpoint format 2, this version of Tandem reads format 1"):
        store.metadata(1)
    save_file(TENSORS, path, {"tandem": "[1]"})
    with pytest.raises(CheckpointError, match="not a JSON object"):
        store.metadata(1)
    save_file(TENSORS, path, {"tandem": "{"})
    with pytest.raises(CheckpointError, match="cannot be read"):
        store.metadata(1)


def test_a_damaged_older_checkpoint_does_not_stop_the_run(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    save(store, 1, 0.1)
    (tmp_path / "step-00000001.safetensors").write_bytes(b"damaged")
    save(store, 2, 0.7)
    save(store, 3, 0.5)
    assert store.best_step() == 3
    assert store.steps() == [2, 3]


scores = st.none() | st.sampled_from([float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 0.25, 0.5, 1.0])


@given(
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=8),
    values=st.lists(scores, min_size=8, max_size=8),
    keep=st.integers(1, 3),
)
def test_retention(tmp_path_factory: pytest.TempPathFactory, gaps: list[int], values: list[Any], keep: int) -> None:
    """After each save there are the last `keep`, and the best of all that ever competed; a NaN never competes."""
    store = CheckpointStore(tmp_path_factory.mktemp("store"), keep_last=keep)
    steps, step = [], 0
    best: tuple[float, int] | None = None
    for gap, score in zip(gaps, values, strict=False):
        step += gap
        store.save(step, {"x": torch.tensor([float(step)])}, {"step": step}, score=score)
        steps.append(step)
        if score is not None and not math.isnan(score) and (best is None or score < best[0]):
            best = (score, step)
        kept = set(steps[-keep:]) | ({best[1]} if best else set())
        assert store.steps() == sorted(kept)
        assert store.best_step() == (best[1] if best else None)
        assert len(names(store.folder)) == len(kept)
    for kept_step in store.steps():
        assert store.tensors(kept_step)["x"].item() == kept_step


def test_the_state_before_the_first_step_goes_when_there_is_another(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    save(store, 0)
    assert store.steps() == [0]
    for step, kept in ((1, [1]), (2, [1, 2]), (3, [2, 3])):
        save(store, step)
        assert store.steps() == kept


def test_a_score_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=1)
    for step, score in ((1, float("nan")), (2, 0.5), (3, float("nan")), (4, None)):
        save(store, step, score)
    assert store.best_step() == 2
    assert store.steps() == [2, 4]


def test_only_scores_of_the_newest_rule_compete(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=1)
    for step, score, rule in ((1, -5.0, ""), (2, None, "ssim"), (3, 0.5, "ssim"), (4, 0.5, "ssim"), (5, 0.7, "ssim")):
        store.save(step, TENSORS, {}, score=score, rule=rule)
        assert store.best_step() == (1 if step < 3 else 3)
    assert store.steps() == [3, 5]
    assert store.best() == Best(step=3, score=0.5, rule="ssim")


def test_a_score_of_the_end_counts_until_the_run_goes_on(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    store.save(4, TENSORS, {}, score=0.5)
    store.save(5, TENSORS, {}, score=0.1, final=True)
    assert store.best_step() == 5
    store.save(8, TENSORS, {}, score=0.6)
    assert store.best_step() == 4
    assert store.steps() == [4, 5, 8]


def test_tensor_files_hold_no_pickle(tmp_path: Path) -> None:
    """The format by hand: a length, a JSON header, plain numbers."""
    write_tensors(tmp_path / "x.safetensors", {"w": torch.tensor([1.0, -2.0])}, {"k": [1]})
    content = (tmp_path / "x.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert json.loads(header["__metadata__"]["tandem"]) == {"k": [1]}
    assert header["w"] == {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert content[8 + size :] == b"\x00\x00\x80\x3f\x00\x00\x00\xc0"
    assert read_metadata(tmp_path / "x.safetensors") == {"k": [1]}
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["w"], torch.tensor([1.0, -2.0]))
