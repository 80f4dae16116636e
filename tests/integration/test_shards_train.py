"""Training from shards: the same weights as from the folder, from the disk and from a web server, or an error."""

import gzip
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from process_groups import run_forked
from support import (
    assert_same_run,
    assert_same_state,
    files_of,
    fork,
    leftovers,
    log_of,
    num_log_lines,
    tandem,
    tiny,
    train,
    until,
    wait_for,
)

from file_server import FileServer
from tandem.data.check import check_data
from tandem.data.discover import find_splits
from tandem.data.shards.pack import pack
from tandem.data.shards.store import SHARD_POLICY
from tandem.data.splits import SplitFacts
from tandem.training import inputs as training_inputs

STEPS = 12


@pytest.fixture(scope="module")
def shards(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of the other tests in shards of about two pairs."""
    out = tmp_path_factory.mktemp("shards") / "packed"
    folders = find_splits(data)
    facts = {}
    for split, folder in folders.items():
        report = check_data([folder], channels_a=3, channels_b=3)
        facts[split] = SplitFacts(folder.fingerprint(), report.sizes_a, report.sizes_b)
    pack(folders, facts, out, shard_bytes=6000)
    assert len(list(out.glob("train*.tar"))) > 2
    return out


@pytest.fixture(scope="module")
def from_folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "folder"
    train(data, out, steps=STEPS)
    return out


@pytest.fixture
def server(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer(shards).running() as state:
        yield state


def shards_asked_of(server: FileServer) -> list[str]:
    return [asked.path.strip("/") for asked in server.asked if asked.path.endswith(".tar")]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_folder_and_shards_train_to_the_same_weights(
    shards: Path, from_folder: Path, tmp_path: Path, num_workers: int
) -> None:
    train(shards, tmp_path / "run", steps=STEPS, num_workers=num_workers)
    assert_same_run(tmp_path / "run", from_folder)
    mine, theirs = (files_of(run / "samples") for run in (tmp_path / "run", from_folder))
    assert mine.keys() == theirs.keys()
    pictures = [name for name in mine if name.endswith(".png")]
    assert pictures
    assert all(mine[name] == theirs[name] for name in pictures)


def test_compressed_shards_train_to_the_same_weights_and_go_everywhere(
    shards: Path, from_folder: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in shards.glob("*.tar"):
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    run = tmp_path / "run"
    refused = tandem("train", packed, "--out", run, *tiny(steps=STEPS, cache_gb=1e-5))
    assert refused.status == 2
    assert "its compressed shards unpack to more than 1e-05 GB, the most that is kept" in refused.err
    train(packed, run, steps=STEPS, cache_gb=1.0)
    assert_same_run(run, from_folder)
    unpacked = {path: path.stat().st_mtime_ns for path in run.rglob("cache/**/*.tar")}
    assert {path.name for path in unpacked} == {path.name for path in shards.glob("*.tar")}

    for unpacks, *words in (
        (True, "data", "check", packed),
        (True, "doctor", packed),
        (False, "sample", run, packed, "--num-samples", "1", "--out", tmp_path / "samples"),
        (False, "evaluate", run, packed, "--metrics", "psnr", "--out", tmp_path / "evaluation"),
    ):
        found = tandem(*words)
        assert found.status == 0, found.err
        assert ("unpacking shards: done" in found.err) == unpacks
    assert {path: path.stat().st_mtime_ns for path in run.rglob("cache/**/*.tar")} == unpacked
    assert len(list(packed.iterdir())) == len(unpacked)

    shutil.copytree(run / "model", tmp_path / "model")  # a model without its run has no cache
    refused = tandem("sample", tmp_path / "model", packed, "--out", tmp_path / "more")
    assert refused.status == 1
    assert "here is none: unpack them yourself (gunzip" in refused.err


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_interrupted_run_ends_the_same(shards: Path, from_folder: Path, tmp_path: Path, num_workers: int) -> None:
    run = tmp_path / "run"
    words = ["train", shards, "--out", run, *tiny(steps=STEPS, num_workers=num_workers)]
    pid = fork(*words)
    until(lambda: num_log_lines(run) >= 2, pid)
    os.kill(pid, signal.SIGTERM)
    assert wait_for(pid) in {143, 0}
    assert tandem(*words).status == 0
    assert_same_run(run, from_folder)


def test_a_run_from_a_folder_goes_on_from_shards(data: Path, shards: Path, from_folder: Path, tmp_path: Path) -> None:
    """The fingerprint is that of the same names and sizes."""
    train(data, tmp_path / "run", steps=5)
    train(shards, tmp_path / "run", steps=STEPS)
    assert_same_state(tmp_path / "run", from_folder)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_web_server_gives_the_same_weights(
    server: FileServer, from_folder: Path, tmp_path: Path, num_workers: int
) -> None:
    train(server.url, tmp_path / "run", steps=5, num_workers=num_workers)  # type: ignore[arg-type]
    fetched = len(shards_asked_of(server))
    train(server.url, tmp_path / "run", steps=STEPS, num_workers=num_workers)  # type: ignore[arg-type]
    assert_same_state(tmp_path / "run", from_folder)
    assert (
        len([asked.path.strip("/") for asked in server.asked if asked.path.endswith(".tar")]) == fetched
    )  # the cache is kept
    assert fetched == len(list(server.root.glob("*.tar")))


def test_two_processes_share_the_cache(server: FileServer, data: Path, tmp_path: Path) -> None:
    """Every shard is fetched once, and the run is that of the folder."""
    words = tiny(steps=STEPS, batch_size=4, num_workers=1)
    run_forked("train", server.url, "--out", tmp_path / "url", *words, logs=tmp_path / "logs")
    assert sorted(shards_asked_of(server)) == sorted(path.name for path in server.root.glob("*.tar"))
    run_forked("train", data, "--out", tmp_path / "folder", *words, logs=tmp_path / "logs")
    assert_same_state(tmp_path / "url", tmp_path / "folder")


def test_data_larger_than_the_cache_is_read_in_turn(
    server: FileServer, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = sum(path.stat().st_size for path in shards.glob("*.tar"))
    small = (total - 1) / 1e9
    refused = tandem("train", server.url, "--out", tmp_path / "x", *tiny(steps=2, cache_gb=small))
    assert refused.status == 2
    assert "raise it, or use --shuffle shards, which reads them one after the other" in refused.err
    refused = tandem("train", server.url, "--out", tmp_path / "x", *tiny(steps=2, cache_gb=1e-5, shuffle="shards"))
    assert refused.status == 2
    assert "are too little to read these shards in turn: at least" in refused.err
    assert not list((tmp_path / "x").rglob("*.safetensors"))

    monkeypatch.setattr("tandem.training.checks.WINDOW_SHARDS", 1)  # these shards are few
    options = {"steps": STEPS, "shuffle": "shards", "num_workers": 2}
    train(shards, tmp_path / "disk", **options)
    train(server.url, tmp_path / "url", cache_gb=small, **options)  # type: ignore[arg-type]
    assert_same_state(tmp_path / "disk", tmp_path / "url")
    cached = sum(path.stat().st_size for path in (tmp_path / "url" / "cache").rglob("*.tar"))
    assert 0 < cached <= small * 1e9
    train(server.url, tmp_path / "again", cache_gb=small, **(options | {"steps": 5}))  # type: ignore[arg-type]
    train(server.url, tmp_path / "again", cache_gb=1, **(options | {"num_workers": 0}))  # type: ignore[arg-type]
    assert_same_state(tmp_path / "again", tmp_path / "disk")
    checked = tandem("data", "check", server.url)
    assert checked.status == 0


def bad_index(server: FileServer) -> str:
    server.at("index.json").missing = True
    return "/index.json is not there"


def bad_shard(server: FileServer) -> str:
    server.at("train-00001.tar").missing = True
    return "/train-00001.tar is not there"


def cut_off(server: FileServer) -> str:
    server.at("train-00000.tar").cut_after = [100] * 20
    return "train-00000.tar could not be fetched after 2 tries in a row"


def stalled(server: FileServer) -> str:
    server.at("train-00001.tar").stall_after = 0
    return "nothing arrived from 127.0.0.1 for 0.5 s"


@pytest.mark.parametrize("spoil", [bad_index, bad_shard, cut_off, stalled])
def test_a_bad_server_is_an_error_before_training(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil
) -> None:
    patience(monkeypatch, stall_seconds=0.5 if spoil is stalled else 10)
    says = spoil(server)
    refused = tandem("train", server.url, "--out", tmp_path / "run", *tiny(steps=2))
    assert refused.status == 1
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert not list((tmp_path / "run").rglob("*.safetensors"))
    assert leftovers(tmp_path) == []
    server.behaviours.clear()
    train(server.url, tmp_path / "run", steps=1)  # type: ignore[arg-type]


def patience(monkeypatch: pytest.MonkeyPatch, stall_seconds: float) -> None:
    original = training_inputs.CacheOptions
    options = replace(SHARD_POLICY, stall_seconds=stall_seconds, max_tries=2, backoff_seconds=0.01)
    monkeypatch.setattr(training_inputs, "CacheOptions", lambda folder, most: original(folder, most, options))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_server_that_goes_while_training_is_an_error_and_training_goes_on_later(
    server: FileServer, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_workers: int
) -> None:
    patience(monkeypatch, stall_seconds=20)  # a forked worker first clears away its parent's sessions, for seconds
    monkeypatch.setattr("tandem.training.checks.WINDOW_SHARDS", 1)
    total = sum(path.stat().st_size for path in shards.glob("*.tar"))
    options = {"shuffle": "shards", "num_workers": num_workers, "cache_gb": total * 0.55 / 1e9, "snapshot_every": 4}
    words = ["train", server.url, "--out", tmp_path / "run", *tiny(steps=40, **options)]
    vanish = threading.Thread(target=lambda: vanish_later(server, tmp_path / "run"))
    vanish.start()
    failed = tandem(*words)
    vanish.join()
    assert failed.status == 1
    assert re.search(r"train-0000\d\.tar is not there", failed.err)
    assert "Traceback" not in failed.err
    assert leftovers(tmp_path / "run") == []
    server.behaviours.clear()
    assert tandem(*words).status == 0
    train(shards, tmp_path / "disk", steps=40, shuffle="shards", snapshot_every=4)
    assert_same_state(tmp_path / "run", tmp_path / "disk")
    losses = [[line for line in log_of(tmp_path / name) if line["kind"] == "train"] for name in ("run", "disk")]
    assert losses[0] == losses[1]


def vanish_later(server: FileServer, run: Path) -> None:
    threading.Event().wait(0.1)
    for _ in range(600):
        if num_log_lines(run) >= 3:
            break
        threading.Event().wait(0.01)
    for path in server.root.glob("train*.tar"):
        server.at(path.name).missing = True


def test_options_without_effect_and_shards_of_another_kind(data: Path, shards: Path, tmp_path: Path) -> None:
    refused = tandem("train", data, "--out", tmp_path / "run", *tiny(steps=2, shuffle="shards"))
    assert refused.status == 2
    assert "--shuffle shards is for shards" in refused.err
    refused = tandem("train", shards, "--out", tmp_path / "run", *tiny(steps=2, cache_gb=3.0))
    assert refused.status == 2
    assert "--cache-gb is for shards from a URL" in refused.err
    assert (
        tandem("data", "demo", tmp_path / "u", "--layout", "unpaired", "--num-train", "3", "--size", "32").status == 0
    )
    assert tandem("data", "pack", tmp_path / "u", tmp_path / "packed").status == 0
    refused = tandem("train", tmp_path / "packed", "--out", tmp_path / "run", *tiny(steps=2))
    assert refused.status == 1
    assert "holds unpaired data, and the method trains on pairs" in refused.err


def test_packing_on_the_command_line(data: Path, tmp_path: Path) -> None:
    packed = tandem("data", "pack", data, tmp_path / "out", "--split", "train", "test", "--shard-size", "1")
    assert packed.status == 0
    assert "2 shards" in packed.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.json", "train-00000.tar", "test-00000.tar"}
    checked = tandem("data", "check", tmp_path / "out")
    assert "9 pairs, all readable" in checked.err
    again = tandem("data", "pack", data, tmp_path / "out", "--split", "train", "test", "--shard-size", "1")
    assert again.status == 0
    for words, says, status in (
        ([data, tmp_path / "out"], "holds another packed dataset", 1),
        ([data, tmp_path / "new", "--split", "val", "tset"], "--split tset: the dataset has only train, val, test", 2),
        ([data, tmp_path / "new", "--shard-size", "0"], "--shard-size must be at least 1", 2),
        ([data, data / "packed"], "lies in the dataset", 2),
        ([tmp_path / "out", tmp_path / "new"], "holds shards already", 1),
    ):
        refused = tandem("data", "pack", *words)
        assert refused.status == status, refused.err
        assert says in refused.err
    assert not (tmp_path / "new").exists()
