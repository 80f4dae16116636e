"""Hold Tandem's training step against numbers of the reference implementations.

    python tools/check_reference.py CASE_DIR [CASE_DIR …]

A case folder holds case.json (options under their official names), initial_weights.safetensors (official keys),
inputs.safetensors and expected.safetensors. The networks are built from the options, the steps run in float64
through the same `train_step` that trains models, and compared are: the tensors of step 0, every gradient of step 0,
every loss of every step and all weights after the last step. One line is printed per case; the exit status is 1 when
a deviation is above its tolerance, 2 when a case cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tandem.checkpoint.official import official_key_map
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.official import from_official
from tandem.errors import TandemError
from tandem.objectives.bicyclegan import BicycleGAN, Fakes
from tandem.objectives.phase import Batch, Phase, Terms
from tandem.training.optimizers import make_adam
from tandem.training.step import train_step

TENSOR_TOLERANCE = 1e-5
"""Largest deviation of a tensor, relative to its largest magnitude (the files hold float32)."""
LOSS_TOLERANCE = 1e-12
"""Largest relative deviation of a loss (the files hold float64)."""
ZERO_GRADIENT_TOLERANCE = 1e-9
"""A gradient that is rounding alone: absolute, relative to the largest gradient of its network."""

NETWORKS = {"G": "generator", "E": "encoder", "D": "disc_encoded", "D2": "disc_random"}
LOSSES = {
    "G_GAN": "gan_encoded",
    "G_GAN2": "gan_random",
    "G_L1": "l1",
    "kl": "kl",
    "z_L1": "latent",
    "D": "disc_encoded",
    "D2": "disc_random",
}


class CaseError(Exception):
    """A case that cannot be read or uses something that Tandem does not have."""


# RuntimeError: tensors of other shapes than the options say.
UNREADABLE = (CaseError, TandemError, OSError, KeyError, AttributeError, ValueError, RuntimeError, SafetensorError)


@dataclass
class Deviations:
    """The largest deviation of each kind, and what it belongs to."""

    worst: dict[str, tuple[float, str]] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, deviation: float, tolerance: float) -> None:
        """Note one comparison; a NaN counts as a failure."""
        self.compared.add(name)
        if not deviation <= self.worst.get(kind, (-1.0, ""))[0]:
            self.worst[kind] = (deviation, name)
        if not deviation <= tolerance:
            self.failures.append(f"{name}: {deviation:.2e} > {tolerance:.0e}")


def configs_of(case: dict) -> tuple[BicycleGANConfig, DataConfig]:
    """The configuration that a case's official options describe; dropout is off in all of them."""
    if case.get("method") != "bicyclegan":
        raise CaseError(f"the method '{case.get('method')}' is not one that Tandem trains yet (bicyclegan is)")
    return from_official(case["options"] | {"use_dropout": False}, size=case["size"])


class Case:
    """One case folder and the objective that its options describe."""

    def __init__(self, folder: Path) -> None:
        self.case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        self.config, self.data = configs_of(self.case)
        self.initial, self.inputs, self.expected = (
            load_file(folder / f"{name}.safetensors") for name in ("initial_weights", "inputs", "expected")
        )
        self.objective = BicycleGAN(self.config, self.data)
        self.objective.networks.double().train()
        if self.config.discriminator_scales == 1:
            self._sum_over_samples()
        if not self.case["options"].get("netD", "_multi").endswith("_multi"):
            self._drop_last_padding()
        self.networks = {
            official: self.objective.networks[ours]
            for official, ours in NETWORKS.items()
            if ours in self.objective.networks
        }
        self.keys = {
            official: official_key_map(network.spec, list(network.state_dict()))  # type: ignore[arg-type]
            for official, network in self.networks.items()
        }
        for official, network in self.networks.items():
            self._load(official, network)

    def _sum_over_samples(self) -> None:
        # With one judge the reference's loop over judges runs over the samples of the batch instead, and sums them.
        half = self.case["batch_size"] // 2

        def scaled(phase: Phase) -> Phase:
            def loss(batch: Batch, fakes: Fakes) -> Terms:
                terms = phase.loss(batch, fakes)
                return {k: v * half if k.startswith(("gan_", "disc_")) else v for k, v in terms.items()}

            return replace(phase, loss=loss)

        self.objective.phases = tuple(scaled(phase) for phase in self.objective.phases)

    def _drop_last_padding(self) -> None:
        # The reference's plain (not multi-scale) PatchGAN has no padding in its last convolution.
        for name, network in self.objective.networks.items():
            if name.startswith("disc_"):
                network.judges[0][-1].conv.padding = (0, 0)  # type: ignore[index, union-attr]

    def _load(self, official: str, network: nn.Module) -> None:
        state = network.state_dict()
        loaded: set[str] = set()
        for ours, theirs in self.keys[official].items():
            key = f"{official}.{theirs}"
            if key in self.initial:
                state[ours] = self.initial[key].to(state[ours].dtype)
                loaded.add(key)
            elif ours.endswith(".bias") and self.config.norm == "batch":
                state[ours].zero_()  # the reference drops a bias in front of batch norm; a zero bias is the same
            elif not ours.endswith(("running_mean", "running_var", "num_batches_tracked")):
                raise CaseError(f"the weight {key} is missing")
        left = {key for key in self.initial if key.startswith(f"{official}.")} - loaded
        if left:
            raise CaseError(f"weights that the network does not have: {sorted(left)[:5]}")
        network.load_state_dict(state)

    def batch(self, step: int) -> dict[str, Tensor]:
        """The images and random numbers of one step, in the case's direction."""
        get = {name: self.inputs[f"step{step}.{name}"].double() for name in ("A", "B", "eps", "z_random")}
        a, b = ("A", "B") if self.data.direction == "AtoB" else ("B", "A")
        half = get["eps"].shape[0]
        return {
            "a": get[a],
            "b": get[b],
            "eps": get["eps"],
            "z_random": get["z_random"],
            "mix": torch.full((half,), 0.5, dtype=torch.float64),
        }


def check_case(folder: Path) -> Deviations:
    """Run one case and compare everything that it holds."""
    case, found = Case(folder), Deviations()
    options = case.case["options"]
    optimizers, gradients = {}, {}
    for official, network in case.networks.items():
        optimizer = make_adam(network.parameters(), lr=options["lr"], betas=(options["beta1"], 0.999))
        optimizer.register_step_pre_hook(_recorder(gradients, official, network))
        optimizers[NETWORKS[official]] = optimizer
    for step in range(case.case["steps"]):
        batch = case.batch(step)
        if step == 0:
            _compare_forward(found, case, batch)
        terms = train_step(case.objective, optimizers, batch)
        _compare_losses(found, case, step, terms)
        if step == 0:
            _compare_gradients(found, case, gradients)
    for official, network in case.networks.items():
        state = network.state_dict()
        for ours, theirs in case.keys[official].items():
            _compare(found, case, "weights", f"final.{official}.{theirs}", state[ours])
    left = sorted(set(case.expected) - found.compared)
    if left:
        found.failures.append(f"{len(left)} expected tensors have no counterpart, e.g. {', '.join(left[:3])}")
    return found


def _compare_forward(found: Deviations, case: Case, batch: dict[str, Tensor]) -> None:
    buffers = {name: value.clone() for name, value in case.objective.networks.named_buffers()}
    with torch.no_grad():
        fakes = case.objective.fakes(batch)
        tensors = {"fake_B_encoded": fakes.encoded, "fake_B_random": fakes.random, "mu": fakes.mu}
        tensors["logvar"] = fakes.logvar
        if "E" in case.networks and fakes.random is not None:
            tensors["mu_of_fake_B_random"] = case.networks["E"](fakes.random)[0]
    for name, value in case.objective.networks.named_buffers():
        value.copy_(buffers[name])
    for name, tensor in tensors.items():
        if tensor is not None:
            _compare(found, case, "forward", f"step0.{name}", tensor)


def _compare_losses(found: Deviations, case: Case, step: int, terms: Terms) -> None:
    prefix = f"step{step}.loss."
    for key in (key for key in case.expected if key.startswith(prefix)):
        name = key.removeprefix(prefix)
        expected = case.expected[key].double().sum().item()
        if LOSSES.get(name) not in terms and expected != 0:
            raise CaseError(f"the loss {key} has no counterpart in {sorted(terms)}")
        ours = terms[LOSSES[name]].item() if LOSSES.get(name) in terms else 0.0
        found.add("loss", key, abs(ours - expected) / max(abs(expected), 1e-300), LOSS_TOLERANCE)


def _compare_gradients(found: Deviations, case: Case, gradients: dict[str, dict[str, Tensor]]) -> None:
    for official, group in gradients.items():
        largest = max(gradient.abs().max().item() for gradient in group.values())
        for ours, gradient in group.items():
            key = f"step0.grad.{official}.{case.keys[official][ours]}"
            expected = case.expected.get(key)
            if expected is None:
                continue
            noise = ZERO_GRADIENT_TOLERANCE * largest
            if expected.abs().max() <= noise and gradient.abs().max() <= noise:
                found.compared.add(key)
                continue
            _compare(found, case, "gradient", key, gradient)


def _compare(found: Deviations, case: Case, kind: str, key: str, ours: Tensor) -> None:
    expected = case.expected.get(key)
    if expected is None:
        return
    if expected.shape != ours.shape:
        raise CaseError(f"{key} has the shape {tuple(expected.shape)}, ours {tuple(ours.shape)}")
    expected = expected.double()
    scale = max(expected.abs().max().item(), 1e-300)
    found.add(kind, key, (ours.double() - expected).abs().max().item() / scale, TENSOR_TOLERANCE)


def _recorder(gradients: dict[str, dict[str, Tensor]], official: str, network: nn.Module) -> Callable[..., None]:
    def record(*_: object) -> None:
        gradients.setdefault(official, _gradients(network))

    return record


def _gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def main() -> int:
    """Check the cases named on the command line."""
    parser = argparse.ArgumentParser(description="Hold the training step against reference numbers.")
    parser.add_argument("case", nargs="+", type=Path, help="folder with case.json and three safetensors files")
    status = 0
    for folder in parser.parse_args().case:
        try:
            found = check_case(folder)
        except UNREADABLE as error:
            print(f"ERROR {folder.name}: {type(error).__name__}: {error}")
            status = 2
            continue
        worst = ", ".join(f"{kind} {value:.1e}" for kind, (value, _) in found.worst.items())
        verdict = "FAIL" if found.failures else "ok"
        print(f"{verdict} {folder.name}: {len(found.compared)} comparisons, largest deviations: {worst}")
        for failure in found.failures[:10]:
            print(f"  {failure}")
        if found.failures:
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
