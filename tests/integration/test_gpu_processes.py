"""Several processes on GPUs, over NCCL; skipped where there are none, or too few."""

import os
import signal
from pathlib import Path

import pytest
import torch
from process_groups import Torchrun
from support import ENVIRONMENT, first_weights_of, num_log_lines, state_of, tiny, train, until

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0
OPTIONS = {"device": "cuda", "batch_size": 4, "steps": 10, "keep_last": 9, "deterministic": True}

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(GPUS == 0, reason="needs a CUDA device")]
needs_two = pytest.mark.skipif(GPUS < 2, reason="needs two CUDA devices")


@needs_two
@pytest.mark.parametrize("method", ["bicyclegan", "tandem", "cyclegan", "pix2pix"])
def test_two_gpus_make_the_run_of_one(data: Path, tmp_path: Path, method: str) -> None:
    """Pix2pix has batch norm, CycleGAN pools; dropout is off, since it draws for each process."""
    options = OPTIONS | {"method": method}
    if method == "tandem":
        options |= {"gan_from": 0.4}
    elif method != "bicyclegan":
        options |= {"encoder_filters": None, "latent_dim": None, "size": 64, "dropout": False}
    if method == "cyclegan":
        options |= {"pool_size": 3, "generator_blocks": 1}
    with Torchrun("train", data, "--out", tmp_path / "two", *tiny(**options), log=tmp_path / "log") as job:
        finished = job.finish(300)
    assert finished.status == 0, finished.out
    assert "training on 2 processes, each on cuda" in finished.out
    train(data, tmp_path / "one", **options)
    start, (one, _), (two, _) = (
        first_weights_of(tmp_path / "one"),
        state_of(tmp_path / "one"),
        state_of(tmp_path / "two"),
    )
    names = [name for name in one if name.startswith("network/") and name.endswith("weight")]
    moved = sum(float((one[name] - start[name]).abs().sum()) for name in names)
    assert sum(float((one[name] - two[name]).abs().sum()) for name in names) < 0.05 * moved


@needs_two
def test_a_killed_process_ends_the_job(data: Path, tmp_path: Path) -> None:
    """NCCL leaves the others waiting: torchrun, or the heartbeat, ends them within a minute."""
    out = tmp_path / "run"
    words = tiny(**OPTIONS | {"steps": 100_000, "log_every": 1})
    with Torchrun("train", data, "--out", out, *words, log=tmp_path / "log") as job:
        until(lambda: num_log_lines(out) >= 5, job.process.pid, seconds=300)
        os.kill(job.workers()[1], signal.SIGKILL)
        assert job.finish(60).status != 0


def test_more_processes_than_gpus_are_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "CUDA_VISIBLE_DEVICES", "0")
    with Torchrun("train", data, "--out", tmp_path / "run", *tiny(**OPTIONS), log=tmp_path / "log") as job:
        finished = job.finish(300)
    assert finished.status != 0
    assert "finds 1 GPU(s): start at most one process a GPU" in finished.out
