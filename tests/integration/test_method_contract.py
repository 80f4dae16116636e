"""A method from outside: what `MethodConfig` and `Objective` ask for is enough to train, resume, sample and show it.

It has no discriminator, no adversarial loss and no latent: |G(A) − B| alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from support import assert_same_run, log_of
from torch import Tensor, nn

import tandem
from tandem.config.data import DataConfig
from tandem.config.options import option
from tandem.config.run import RunConfig
from tandem.config.specifications import UNetSpec
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError
from tandem.networks.build import build_network
from tandem.objectives.objective import Objective, Phase, StepTensors, Terms, initialise_networks
from tandem.objectives.pool import ImagePool
from tandem.training.trainer import train

DEPTH = 3


@dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """Options of the method."""

    method: ClassVar[str] = "regression"
    paired: ClassVar[bool] = True
    parts: ClassVar[int] = 1

    filters: int = option(4, "filters after the first level", at_least=1)

    @property
    def latent_dim(self) -> int:
        return 0

    def size_multiple(self, data: DataConfig) -> int:
        del data
        return 2**DEPTH

    def problems(self, data: DataConfig, batch_size: int) -> Iterator[str]:
        del data, batch_size
        yield from ()


@dataclass(frozen=True)
class Fakes:
    b: Tensor


class Regression:
    """The objective. Network: generator."""

    def __init__(self, config: RegressionConfig, data: DataConfig) -> None:
        spec = UNetSpec(
            in_channels=data.input_channels,
            out_channels=data.output_channels,
            latent_dim=0,
            depth=DEPTH,
            filters=config.filters,
            injection="none",
        )
        self.networks = nn.ModuleDict({"generator": build_network(spec)})
        self.inference_networks: tuple[str, ...] = ("generator",)
        self.samples_with_noise = False
        self.differentiates_gradients = False
        self.features = None
        self.joined = True
        self.micro_batches = 1
        self.pools: Mapping[str, ImagePool] = {}
        self.phases: tuple[Phase, ...] = (Phase("generator", ("generator",), self.terms, through_fakes=True),)

    def initialise(self, seed: int) -> None:
        initialise_networks(self.networks, "xavier", gain=0.02, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        del seed, positions
        return {}

    def fakes(self, batch: StepTensors) -> Fakes:
        return Fakes(self.networks["generator"](batch["a"]))

    def terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        return {"l1": (fakes.b - batch["b"]).abs().mean()}


def make_regression(config: RunConfig) -> Objective:
    assert isinstance(config.objective, RegressionConfig)
    objective = Regression(config.objective, config.data)
    objective.initialise(config.training.seed)
    return objective


def configured(**training: Any) -> RunConfig:
    options: dict[str, Any] = {"device": "cpu", "num_workers": 0, "num_previews": 2, "snapshot_every": 20}
    options |= {"learning_rate": 1e-2, "log_every": 1} | training
    return RunConfig(data=DataConfig(size=32), objective=RegressionConfig(), training=TrainingConfig(**options))


def test_it_trains_resumes_and_samples(data: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(configured(steps=40), data, whole, make_objective=make_regression)
    train(configured(steps=15), data, halves, make_objective=make_regression)
    train(configured(steps=40), data, halves, make_objective=make_regression)
    assert_same_run(whole, halves)

    losses = [record["losses"] for record in log_of(whole) if record["kind"] == "train"]
    assert all(terms.keys() == {"l1"} for terms in losses)
    assert losses[-1]["l1"] < 0.5 * losses[0]["l1"]

    translator = tandem.load(whole, device="cpu")
    assert not translator.is_stochastic
    (image,) = translator(np.zeros((32, 32, 3), np.uint8), output="array")
    assert image.shape == (32, 32, 3)
    assert (whole / "index.html").is_file()


def test_several_micro_batches_are_one_batch(data: Path, tmp_path: Path) -> None:
    for accumulate in (1, 2):
        out = tmp_path / str(accumulate)
        train(configured(steps=3, batch_size=2, accumulate=accumulate), data, out, make_objective=make_regression)
    first, second = (
        torch.tensor([record["losses"]["l1"] for record in log_of(tmp_path / name) if record["kind"] == "train"])
        for name in "12"
    )
    torch.testing.assert_close(first, second, rtol=1e-4, atol=0)


def test_a_method_that_nobody_builds_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"method 'regression' is none of Tandem's.*make_objective"):
        train(configured(steps=1), data, tmp_path / "run")
    assert not list(tmp_path.glob("run/*/*.safetensors"))
