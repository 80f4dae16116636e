"""What only a CUDA device can show; skipped where there is none. benchmarks/gpu_acceptance.sh runs these."""

from pathlib import Path

import pytest
import torch
from support import tiny_config

from tandem.checkpoint.store import CheckpointStore
from tandem.data.synthetic import write_dataset
from tandem.objectives.build import build_objective
from tandem.training.step import train_step
from tandem.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "demo", size=32, num_train=10, num_val=2, num_test=1)


def steps_on(device: str, steps: int) -> list[float]:
    config = tiny_config(size=64)
    objective = build_objective(config)
    objective.networks.double().to(device)
    optimizers = {
        name: torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for name, n in objective.networks.items()
    }
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        batch = {name: torch.rand((2, 3, 64, 64), generator=generator) * 2 - 1 for name in ("a", "b")}
        batch |= objective.draw(0, [2 * step, 2 * step + 1])
        terms = train_step(objective, optimizers, {k: v.double().to(device) for k, v in batch.items()})
        losses += [value.item() for value in terms.values()]
    return losses


def test_steps_on_the_gpu_equal_those_on_the_cpu_in_float64() -> None:
    assert steps_on("cuda", 3) == pytest.approx(steps_on("cpu", 3), rel=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deterministic_resume_is_bit_exact(data: Path, tmp_path: Path, precision: str) -> None:
    options = {"device": "cuda", "deterministic": True, "precision": precision, "dropout": True, "size": 64}
    train(tiny_config(**options, steps=8), data, tmp_path / "whole")
    train(tiny_config(**options, steps=5), data, tmp_path / "parts")
    train(tiny_config(**options, steps=8), data, tmp_path / "parts")
    whole, parts = (CheckpointStore(tmp_path / name / "checkpoints").tensors(8) for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
