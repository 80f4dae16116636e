"""The folder of checkpoints: whole files only, the last few and the best kept, damage named."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from tandem import tensors as tensor_files
from tandem.checkpoint.store import Best, CheckpointStore
from tandem.errors import CheckpointError, DamagedCheckpointError
from tandem.tensors import BLOCK_BYTES, DATA_HASH, HEADER_HASH, TensorFile, open_tensors, read_tensors, write_tensors

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
    _, found = store.read(12)
    assert found.keys() == given.keys()
    for name, value in given.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_saving_again_replaces_the_step(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 5)
    store.save(5, {"b": torch.ones(1)}, {"second": True})
    assert store.metadata(5) == {"second": True}
    assert store.read(5)[1].keys() == {"b"}


def test_a_write_that_fails_midway_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up in the middle of the file."""
    store = CheckpointStore(tmp_path, keep_last=1)
    save(store, 1)
    before = store.folder.joinpath("step-00000001.safetensors").read_bytes()

    def fails(path: Path, tensors: Any, text: str) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files, "_write_file", fails)
        for step in (1, 2):
            with pytest.raises(CheckpointError, match=r"cannot be written: No space left .* untouched"):
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


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "header"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    path = save(store, 2)
    whole = path.read_bytes()
    content = {"truncated": whole[:-1], "empty": b"", "text": b"hello, this is text", "header": b"\xff" * 8 + whole[8:]}
    path.write_bytes(content[damage])
    with pytest.raises(DamagedCheckpointError, match="cannot be used") as caught:
        store.read(2)
    assert str(path) in str(caught.value)
    assert caught.value.file == path
    assert store.set_aside(2).name == "step-00000002.safetensors.damaged"
    assert store.steps() == [1]


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Of the header those that metadata alone is asked for, of the tensors and the header those that all is read of."""
    store = CheckpointStore(tmp_path)
    path = save(store, 2, 0.25)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for bit in range(len(whole) * 8):
        path.write_bytes(whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :])
        readers = [store.read, store.metadata] if bit // 8 < header else [store.read]
        for read in readers:
            with pytest.raises(CheckpointError):
                read(2)
    path.write_bytes(whole)
    assert store.read(2)[0] == {"step": 2}


def test_hashes_are_those_of_the_format(tmp_path: Path) -> None:
    """By hand: XXH3 over the tensors, which lie as safetensors puts them, those of several blocks too."""
    given = TENSORS | {"empty": torch.zeros(0), "half": torch.ones(3).half(), "flag": torch.tensor([True])}
    given |= {"blocks": torch.arange(3 * BLOCK_BYTES + 1).to(torch.uint8), "block": torch.zeros(BLOCK_BYTES // 4)}
    write_tensors(tmp_path / "x", given, {"k": 1})
    save_file(given, tmp_path / "theirs", {"k": "1"})
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("x", "theirs"))
    length = 8 + int.from_bytes(ours[:8], "little")
    assert ours[length:] == theirs[8 + int.from_bytes(theirs[:8], "little") :]
    texts = json.loads(ours[8:length])["__metadata__"]
    assert texts[DATA_HASH] == xxhash.xxh3_128_hexdigest(ours[length:])
    unhashed = ours[8:length].replace(texts[HEADER_HASH].encode(), b"0" * 64)
    assert texts[HEADER_HASH] == hashlib.sha256(unhashed).hexdigest()
    with open_tensors(tmp_path / "x") as file:
        file.verify()


def test_name_and_content_must_agree(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 1).rename(store.path(7))
    with pytest.raises(DamagedCheckpointError, match="is called step 7 and holds step 1"):
        store.metadata(7)


def test_what_is_open_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention of a training removes the file in the moment before its tensors are read."""
    store = CheckpointStore(tmp_path)
    path = save(store, 1)
    verify = TensorFile.verify

    def removed(file: TensorFile) -> None:
        verify(file)
        path.unlink()

    monkeypatch.setattr(TensorFile, "verify", removed)
    assert torch.equal(store.read(1)[1]["b"], TENSORS["b"])
    with pytest.raises(CheckpointError, match=r"is gone\. A training keeps .* kept are the steps none") as caught:
        store.read(1)
    assert not isinstance(caught.value, DamagedCheckpointError)


def test_what_the_system_refuses_is_no_damage(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.path(3).mkdir()
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory") as caught:
        store.read(3)
    assert not isinstance(caught.value, DamagedCheckpointError)


def test_foreign_files_and_other_formats(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    path = save(store, 1)
    save_file(TENSORS, path)
    with pytest.raises(CheckpointError, match="was not written by Tandem"):
        store.metadata(1)
    write_tensors(path, TENSORS, {"format": 3, "step": 1, "score": None, "state": {}})
    with pytest.raises(CheckpointError, match="has the checkpoint format 3, this version of Tandem reads format 2"):
        store.metadata(1)
    for text in ("[1]", "{", '{"format": 2}', '{"format": true, "state": {}}', "[" * 100_000):
        save_file(TENSORS, path, {"tandem": text})
        with pytest.raises(DamagedCheckpointError):
            store.metadata(1)


def test_a_checkpoint_of_the_format_without_hashes_is_read(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    envelope = {"format": 1, "step": 4, "score": None, "state": {"k": 1}}
    save_file(TENSORS, store.path(4), {"tandem": json.dumps(envelope)})
    assert store.read(4)[0] == {"k": 1}
    save_file(TENSORS, store.path(4), {"tandem": json.dumps(envelope | {"format": 2})})
    with pytest.raises(DamagedCheckpointError):
        store.metadata(4)


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
    for step, score in ((1, float("nan")), (2, 0.5), (3, -(10**400)), (4, None)):
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
    with open_tensors(tmp_path / "x.safetensors") as file:
        assert file.metadata == {"k": [1]}
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["w"], torch.tensor([1.0, -2.0]))
