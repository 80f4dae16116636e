"""How much disk a run needs: the bytes of a real checkpoint and model, and what is said where there is too little."""

import logging
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig, from_flat
from tandem.errors import CheckpointError
from tandem.tensors import write_tensors
from tandem.training.disk import DiskNeed, need_of, require_room
from tandem.training.run_folder import RunFolder
from tandem.training.setup import make_state
from tandem.training.state import TrainingState
from tandem.training.step import train_step

Usage = namedtuple("Usage", "total used free")
SMALL = {"generator_filters": 8, "discriminator_filters": 8, "size": 32, "device": "cpu", "batch_size": 2}


def stepped(config: RunConfig) -> TrainingState:
    state = make_state(config, torch.device("cpu"))
    state.objective.joined = True  # from then on a checkpoint is as large as it gets
    batch = {name: 2 * torch.rand(2, 3, 32, 32) - 1 for name in ("a", "b")} | state.objective.draw(0, range(2))
    train_step(state.objective, state.optimizers, batch)
    return state


@pytest.mark.parametrize(
    "options",
    [
        {"encoder_filters": 8},
        {"encoder_filters": 8, "ema_halflife_images": 0, "freeze": "encoder,generator.up.0"},
        {"method": "cyclegan", "generator_blocks": 1, "pool_size": 2},
        {"method": "tandem", "encoder_filters": 8},
        {"method": "tandem", "encoder_filters": 8, "freeze": "disc"},
    ],
)
def test_the_need_is_what_is_written(options: dict[str, Any], tmp_path: Path) -> None:
    """Two samples fill a pool of two; what safetensors adds is names."""
    config = from_flat(SMALL | options)
    need = need_of(config, make_state(config, torch.device("cpu")), total_steps=10, has_best=True)
    state = stepped(config)
    path = CheckpointStore(tmp_path / "checkpoints").save(1, state.tensors(), state.metadata())
    assert need.state == pytest.approx(path.stat().st_size, rel=0.05)
    objective, model = state.objective, tmp_path / "weights.safetensors"
    networks = {name: objective.networks[name].state_dict() for name in objective.inference_networks}
    write_tensors(model, {f"{name}.{key}": value for name, one in networks.items() for key, value in one.items()}, {})
    assert need.bundle == pytest.approx(model.stat().st_size, rel=0.05)


def test_what_is_kept() -> None:
    """Two and the best unless fewer are ever written, and one more while it is written."""
    config = from_flat(SMALL | {"snapshot_every": 5})
    state = make_state(config, torch.device("cpu"))
    assert need_of(config, state, total_steps=100, has_best=True).kept == 3
    assert need_of(config, state, total_steps=100, has_best=False).kept == 2
    assert need_of(config, state, total_steps=1, has_best=True).kept == 2
    assert DiskNeed(state=100, kept=3, bundle=10, pictures=1).most == 421
    assert DiskNeed(state=100, kept=3, bundle=10, pictures=1).first == 110


NEED = DiskNeed(state=1_000_000_000, kept=3, bundle=200_000_000, pictures=0)


@pytest.mark.parametrize(("free", "warned"), [(5e9, False), (4.3e9, True), (1.3e9, True)])
def test_a_small_disk_is_a_warning(
    free: float, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, int(free)))
    with caplog.at_level(logging.INFO):
        require_room(NEED, RunFolder(tmp_path), keep_last=2)
    assert "disk: at most 4.40 GB: 3 checkpoints of 1.00 GB and one more while it is written" in caplog.text
    assert ("the disk is too small for the whole run" in caplog.text) == warned
    assert ("or lower --keep-last 2" in caplog.text) == warned


def test_no_room_for_the_first_checkpoint_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, 10**9))
    with pytest.raises(CheckpointError, match=r"the first checkpoint with its model needs 1\.20 GB"):
        require_room(NEED, RunFolder(tmp_path), keep_last=2)
    (tmp_path / "model").mkdir()
    with (tmp_path / "model" / "x").open("wb") as file:
        file.truncate(300_000_000)  # what the run has written itself is there already
    require_room(NEED, RunFolder(tmp_path), keep_last=2)


def test_a_file_system_that_says_nothing_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    with caplog.at_level(logging.INFO):
        require_room(NEED, RunFolder(tmp_path), keep_last=1)
    assert "how much is free is not known" in caplog.text
