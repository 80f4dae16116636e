"""Hold Tandem's training step against numbers of the reference implementations.

    python tools/check_reference.py CASE_DIR [CASE_DIR …]

A case folder holds case.json (options under their official names), initial_weights.safetensors (official keys),
inputs.safetensors and expected.safetensors. The networks are built from the options, the steps run in float64
through the same `train_step` that trains models, and compared are: the tensors of step 0, every gradient of step 0,
every loss of every step and all weights after the last step. One line is printed per case; the exit status is 1 when
a deviation is above its tolerance or a case lacks numbers to compare with, 2 when a case cannot be read.

PyTorch 2.13 on the CPU computes a wrong gradient of `nn.InstanceNorm2d` for a single image whose gradient is
channels-last, as that of CUT's gathered features is. Tandem's own norm does not, but a case that was computed there
has these gradients. Such a case is run a second time with PyTorch's norm, and its line says so.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reference_methods import METHODS
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
ADAM_EPSILON = 1e-8
"""What Adam adds to the root of its second moment, so that rounding is not magnified to full steps."""


CASE_KEYS = ("method", "size", "steps", "batch_size", "note", "options", "params")
"""The entries of case.json; options are checked by the method."""


class CaseError(Exception):
    """A case that cannot be read or uses something that Tandem does not have."""


# RuntimeError: tensors of other shapes than the options say.
UNREADABLE = (
    *(CaseError, TandemError, OSError, SafetensorError),
    *(KeyError, AttributeError, TypeError, ValueError, RuntimeError),
)


@dataclass
class Deviations:
    """The largest deviation of each kind, and what it belongs to.

    Attributes:
        rounding: Weights whose gradient is rounding alone, with its largest magnitude.
        with_torch_norm: Whether the case agrees only with PyTorch's own instance norm; see the file's head.
    """

    worst: dict[str, tuple[float, str]] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    rounding: dict[str, float] = field(default_factory=dict)
    with_torch_norm: bool = False

    def add(self, kind: str, name: str, deviation: float, tolerance: float) -> None:
        """Note one comparison; a NaN counts as a failure."""
        self.compared.add(name)
        if not deviation <= self.worst.get(kind, (-1.0, ""))[0]:
            self.worst[kind] = (deviation, name)
        if not deviation <= tolerance:
            self.failures.append(f"{name}: {deviation:.2e} > {tolerance:.0e}")


class Case:
    """One case folder and the objective that its options describe; dropout and image pools are off in all of them."""

    def __init__(self, folder: Path, *, with_torch_norm: bool = False) -> None:
        self.case = _read_case(folder / "case.json")
        self.method = METHODS[self.case["method"]]
        self.initial, self.inputs, self.expected = (
            load_file(folder / f"{name}.safetensors") for name in ("initial_weights", "inputs", "expected")
        )
        for name, tensors in (("initial_weights", self.initial), ("inputs", self.inputs)):
            if bad := [key for key, tensor in tensors.items() if not tensor.isfinite().all()]:
                raise CaseError(f"{name}.safetensors has values that are not finite in {', '.join(bad[:3])}")
        self.objective, self.data = self.method.build(self.case["options"], self.case["size"], self.case["batch_size"])
        if with_torch_norm:
            use_torch_instance_norm(self.objective.networks)
        self.objective.networks.double().train()
        self.networks = {
            official: self.objective.networks[ours]
            for official, ours in self.method.networks.items()
            if ours in self.objective.networks
        }
        self.keys = {official: self.method.keys(network) for official, network in self.networks.items()}
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
            elif ours.endswith(".bias") and getattr(network.spec, "norm", None) == "batch":
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
            key.removeprefix(prefix): value.double() if value.is_floating_point() else value
            for key, value in self.inputs.items()
            if key.startswith(prefix)
        }
        for name, channels in self._channels().items():
            expected = (self.case["batch_size"], channels, self.case["size"], self.case["size"])
            if name not in inputs:
                raise CaseError(f"inputs.safetensors has no '{name}' of step {step}")
            if inputs[name].shape != expected:
                raise CaseError(
                    f"{prefix}{name} has the shape {tuple(inputs[name].shape)}, but the case says {expected}"
                )
        a, b = self._channels()
        return {"a": inputs[a], "b": inputs[b]} | self.method.draws(self.objective, inputs)

    def _channels(self) -> dict[str, int]:
        """The channels of the input and of the output domain, by the official name of the domain."""
        a, b = ("A", "B") if self.data.direction == "AtoB" else ("B", "A")
        return {a: self.data.input_channels, b: self.data.output_channels}

    def lacking(self, gradients: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
        """What every case has to hold to compare with, and this one does not: losses, gradients and weights."""
        losses = [key.removeprefix("step0.") for key in self.expected if key.startswith("step0.loss.")] or ["loss.*"]
        needed = [f"step{step}.{loss}" for step in range(self.case["steps"]) for loss in losses]
        trained = {f"{official}.{self.keys[official][ours]}" for official, group in gradients.items() for ours in group}
        needed += [f"step0.grad.{key}" for key in self.initial if key in trained]
        needed += [f"final.{key}" for key in self.initial]
        return [key for key in needed if key not in self.expected]


def _read_case(path: Path) -> dict[str, Any]:
    """Read case.json, with what it must have in the right types."""
    case = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(case, dict) or not isinstance(case.get("options"), dict):
        raise CaseError("case.json must be an object with the object 'options'")
    if case.get("method") not in METHODS:
        raise CaseError(f"the method '{case.get('method')}' is none of {', '.join(METHODS)}")
    if unknown := sorted(case.keys() - CASE_KEYS):
        raise CaseError(f"case.json has the unknown entries {', '.join(unknown)}; known are {', '.join(CASE_KEYS)}")
    for name in ("size", "steps", "batch_size"):
        if type(case.get(name)) is not int or case[name] < 1:
            raise CaseError(f"'{name}' is {case.get(name)!r} in case.json, but it must be a positive whole number")
    return case


def use_torch_instance_norm(networks: nn.Module) -> None:
    """Replace Tandem's instance norms, all without weights, by PyTorch's: see the file's head."""
    for module in list(networks.modules()):
        for name, norm in module.named_children():
            if isinstance(norm, nn.InstanceNorm2d):
                setattr(module, name, nn.InstanceNorm2d(norm.num_features, eps=norm.eps))


def check_case(folder: Path) -> Deviations:
    """Run one case and compare everything that it holds; with PyTorch's own instance norm if only that fits."""
    case = Case(folder)
    found = _run(case)
    if found.failures and case.case["method"] == "cut" and case.case["batch_size"] == 1:
        again = _run(Case(folder, with_torch_norm=True))
        if not again.failures:
            again.with_torch_norm = True
            return again
    return found


def _run(case: Case) -> Deviations:
    found = Deviations()
    options = case.case["options"]
    optimizers, gradients = {}, {}
    for official, network in case.networks.items():
        optimizer = make_adam(
            network.parameters(), lr=options["lr"], betas=(options["beta1"], options.get("beta2", 0.999))
        )
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
            key = f"{official}.{theirs}"
            # Adam turns a gradient of rounding alone into steps that are as arbitrary; a bias in front of a norm.
            wander = 10 * found.rounding.get(key, 0.0) / ADAM_EPSILON
            allowed = min(1.0, wander) * options["lr"] * case.case["steps"]
            _compare(found, case, "weights", f"final.{key}", state[ours], allowed=allowed)
    if lacking := case.lacking(gradients):
        found.failures.append(f"expected.safetensors lacks {len(lacking)} numbers, e.g. {', '.join(lacking[:3])}")
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
        loss = case.method.losses.get(key.removeprefix(prefix), lambda _: None)(terms)
        expected = case.expected[key].double().sum().item()
        if loss is None and expected != 0:
            raise CaseError(f"the loss {key} has no counterpart in {sorted(terms)}")
        ours = 0.0 if loss is None else loss.item()
        found.add("loss", key, abs(ours - expected) / max(abs(expected), 1e-300), LOSS_TOLERANCE)


def _compare_gradients(found: Deviations, case: Case, gradients: dict[str, dict[str, Tensor]]) -> None:
    for official, group in gradients.items():
        largest = max(gradient.abs().max().item() for gradient in group.values())
        for ours, gradient in group.items():
            key = f"step0.grad.{official}.{case.keys[official][ours]}"
            expected = case.expected.get(key)
            if expected is None:
                continue
            noise = max(expected.abs().max().item(), gradient.abs().max().item())
            if expected.shape == gradient.shape and noise <= ZERO_GRADIENT_TOLERANCE * largest:
                found.compared.add(key)
                found.rounding[key.removeprefix("step0.grad.")] = noise
                continue
            _compare(found, case, "gradient", key, gradient)


def _compare(found: Deviations, case: Case, kind: str, key: str, ours: Tensor, *, allowed: float = 0.0) -> None:
    """Compare one tensor; `allowed` is an absolute deviation that is too small to count."""
    expected = case.expected.get(key)
    if expected is None:
        return
    if expected.shape != ours.shape:
        raise CaseError(f"{key} has the shape {tuple(expected.shape)}, ours {tuple(ours.shape)}")
    expected = expected.double()
    scale = max(expected.abs().max().item(), 1e-300)
    deviation = (ours.double() - expected).abs().max().item() / scale
    found.add(kind, key, deviation, max(TENSOR_TOLERANCE, allowed / scale))


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
        worst += "; with PyTorch's own instance norm, see the tool's head" if found.with_torch_norm else ""
        verdict = "FAIL" if found.failures else "ok"
        print(f"{verdict} {folder.name}: {len(found.compared)} comparisons, largest deviations: {worst}")
        for failure in found.failures[:10]:
            print(f"  {failure}")
        if found.failures:
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
