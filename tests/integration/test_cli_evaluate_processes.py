"""``tandem evaluate`` in several processes: the report of one, written by one, and continued when one was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ENVIRONMENT, files_of, fork, leftovers, tandem, wait_for, write_pairs

from model_files import write_random_features
from processes import free_port, place
from tandem.data.synthetic import write_dataset
from tandem.evaluation.networks.features import FeatureExtractor
from tandem.evaluation.rows import cache
from tandem.training import heartbeat

NUM_TEST, BATCH = 7, 2
OF_SAMPLES = "crps,energy-score,spread-skill,interval-coverage,rank-histogram,vendi,afd,z-r2,memorisation"


@pytest.fixture
def words(make_bundle: Callable[..., Path], tmp_path: Path) -> list[str | Path]:
    """A model on an odd number of inputs, with metrics on inputs, real images, training images and random pairs."""
    data = write_dataset(tmp_path / "data", size=32, num_train=5, num_val=1, num_test=NUM_TEST)
    features = write_random_features(tmp_path / "features.onnx")
    return [
        *("evaluate", make_bundle(size=(32, 32)), data, "--features", features),
        *("--metrics", f"frechet,kid,prdc,l1,ssim,l1-diversity,bijection,mode-coverage,{OF_SAMPLES}"),
        *("--num-samples", "2", "--batch-size", str(BATCH), "--device", "cpu"),
    ]


def results(out: Path) -> dict[str, bytes]:
    return {name: content for name, content in files_of(out).items() if not name.startswith("cache")}


def start_both(
    *words: str | Path,
    before: Callable[[int], None] = lambda _: None,
    words_of: Callable[[int], list[str]] = lambda _: [],
) -> list[int]:
    """The same command in two processes of one process_group; the numbers of the processes."""
    port = free_port()

    def entered(rank: int) -> Callable[[], None]:
        def enter() -> None:
            os.environ.update(place(rank, 2, port))
            before(rank)

        return enter

    return [fork(*words, *words_of(rank), before=entered(rank)) for rank in (0, 1)]


def test_the_report_is_that_of_one_process(words: list[str | Path], tmp_path: Path) -> None:
    assert tandem(*words, "--out", tmp_path / "alone").status == 0
    both = tmp_path / "both"
    assert [wait_for(pid) for pid in start_both(*words, "--out", both)] == [0, 0]
    alone = results(tmp_path / "alone")
    assert results(both) == alone
    assert {"report.json", "report.html"} <= alone.keys()
    assert leftovers(both) == []


def test_torchrun_on_two_folders_speaks_with_one_voice(tmp_path: Path) -> None:
    folders = [write_pairs(tmp_path / name, 5, seed=seed) for seed, name in enumerate(("real", "generated"))]
    features = write_random_features(tmp_path / "features.onnx")
    words = ["evaluate", "--images", *folders, "--features", features, "--metrics", "frechet,kid,l1", "--device", "cpu"]
    words += ["--batch-size", "2"]
    assert tandem(*words, "--out", tmp_path / "alone").status == 0
    both = tmp_path / "both"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "tandem", *words, "--out", both]
    done = subprocess.run(
        [str(word) for word in command],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert results(both) == results(tmp_path / "alone")
    assert done.stdout.count("page: ") == 1
    assert done.stdout.count("evaluating generated images: done") == 1
    assert "[rank 1]" not in done.stdout


def test_a_killed_process_ends_the_other_and_the_command_continues(
    words: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "SILENCE_SECONDS", 1.0)
    alone, out = tmp_path / "alone", tmp_path / "killed"
    assert tandem(*words, "--out", alone).status == 0
    extract = FeatureExtractor.__call__

    def kill_after_four(rank: int) -> None:
        done = 0

        def extracting(self: FeatureExtractor, images: object) -> object:
            nonlocal done
            done += len(images)  # type: ignore[arg-type]
            if rank == 1 and done > 2 * BATCH:
                os.kill(os.getpid(), signal.SIGKILL)
            return extract(self, images)  # type: ignore[arg-type]

        monkeypatch.setattr(FeatureExtractor, "__call__", extracting)

    statuses = [wait_for(pid) for pid in start_both(*words, "--out", out, before=kill_after_four)]
    assert statuses == [1, -signal.SIGKILL]
    assert not (out / "report.json").exists()
    known = len(list((out / "cache").rglob("*.npz")))
    assert known > 2
    assert [wait_for(pid) for pid in start_both(*words, "--out", out)] == [0, 0]
    assert results(out) == results(alone)


def test_processes_with_other_options_are_refused(words: list[str | Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    pids = start_both(*words, "--out", out, words_of=lambda rank: ["--seed", str(rank)])
    assert [wait_for(pid) for pid in pids] == [2, 2]
    assert not out.exists()


def test_sigterm_keeps_what_was_measured(
    words: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = FeatureExtractor.__call__
    done = 0

    def extracting(self: FeatureExtractor, images: object) -> object:
        nonlocal done
        done += 1
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return extract(self, images)  # type: ignore[arg-type]

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "__call__", extracting)
        ended = tandem(*words, "--out", out)
    assert ended.status == 1
    assert "ended by SIGTERM" in ended.err
    assert "the same command goes on" in ended.err
    assert list((out / "cache").rglob("*.npz"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
