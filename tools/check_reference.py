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
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reference_methods import METHODS
from tandem.checkpoint.official import official_key_map
from tandem.errors import TandemError
from tandem.objectives.objective import Terms
from tandem.training.optimizers import make_adam
from tandem.training.step import train_step

TENSOR_TOLERANCE = 1e-5
"""Largest deviation of a tensor, relative to its largest magnitude (the files hold float32)."""
LOSS_TOLERANCE = 1e-12
"""Largest relative deviation of a loss (the files hold float64)."""
ZERO_GRADIENT_TOLERANCE = 1e-9
"""A gradient that is rounding alone: absolute, relative to the largest gradient of its network."""


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


class Case:
    """One case folder and the objective that its options describe; dropout and image pools are off in all of them."""

    def __init__(self, folder: Path) -> None:
        self.case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        if self.case.get("method") not in METHODS:
            raise CaseError(f"the method '{self.case.get('method')}' is none of {', '.join(METHODS)}")
        self.method = METHODS[self.case["method"]]
        self.initial, self.inputs, self.expected = (
            load_file(folder / f"{name}.safetensors") for name in ("initial_weights", "inputs", "expected")
        )
        self.objective, self.data = self.method.build(self.case["options"], self.case["size"], self.case["batch_size"])
        self.objective.networks.double().train()
        self.networks = {
            official: self.objective.networks[ours]
            for official, ours in self.method.networks.items()
            if ours in self.objective.networks
        }
        self.keys = {
            official: official_key_map(network.spec, list(network.state_dict()))  # type: ignore[arg-type]
            for official, network in self.networks.items()
        }
        for official, network in self.networks.items():
            self._load(official, network)

    def _load(self, official: str, network: nn.Module) -> None:
        state = network.state_dict()
        loaded: set[str] = set()
        for ours, theirs in self.keys[official].items():
            key = f"{official}.{theirs}"
            if key in self.initial:
                state[ours] = self.initial[key].to(state[ours].dtype)
                loaded.add(key)
            elif ours.endswith(".bias") and network.spec.norm == "batch":  # type: ignore[union-attr]
                state[ours].zero_()  # the reference drops a bias in front of batch norm; a zero bias is the same
            elif not ours.endswith(("running_mean", "running_var", "num_batches_tracked")):
                raise CaseError(f"the weight {key} is missing")
        left = {key for key in self.initial if key.startswith(f"{official}.")} - loaded
        if left:
            raise CaseError(f"weights that the network does not have: {sorted(left)[:5]}")
        network.load_state_dict(state)

    def batch(self, step: int) -> dict[str, Tensor]:
        """The images and random numbers of one step, in the case's direction."""
        prefix = f"step{step}."
        inputs = {
            key.removeprefix(prefix): value.double() for key, value in self.inputs.items() if key.startswith(prefix)
        }
        a, b = ("A", "B") if self.data.direction == "AtoB" else ("B", "A")
        return {"a": inputs[a], "b": inputs[b]} | self.method.draws(inputs)


def check_case(folder: Path) -> Deviations:
    """Run one case and compare everything that it holds."""
    case, found = Case(folder), Deviations()
    options = case.case["options"]
    optimizers, gradients = {}, {}
    for official, network in case.networks.items():
        optimizer = make_adam(network.parameters(), lr=options["lr"], betas=(options["beta1"], 0.999))
        optimizer.register_step_pre_hook(_recorder(gradients, official, network))
        optimizers[case.method.networks[official]] = optimizer
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
        tensors = case.method.tensors(case.objective, batch)
    for name, value in case.objective.networks.named_buffers():
        value.copy_(buffers[name])
    for name, tensor in tensors.items():
        if tensor is not None:
            _compare(found, case, "forward", f"step0.{name}", tensor)


def _compare_losses(found: Deviations, case: Case, step: int, terms: Terms) -> None:
    prefix = f"step{step}.loss."
    for key in (key for key in case.expected if key.startswith(prefix)):
        term, factor = case.method.losses.get(key.removeprefix(prefix), ("", 1.0))
        expected = case.expected[key].double().sum().item()
        if term not in terms and expected != 0:
            raise CaseError(f"the loss {key} has no counterpart in {sorted(terms)}")
        ours = factor * terms[term].item() if term in terms else 0.0
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
