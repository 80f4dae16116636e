"""Refusing updates that would put values that are not finite into the weights, without waiting for the device.

On the CPU a look at the numbers costs nothing, so the step stops where it is. Elsewhere reading one would wait for all
work that is queued: there the verdict stays on the device and makes this and every later update void, and the host asks
with `FiniteGuard.settle` when it reads numbers anyway. Either way the weights stay those before the refused update.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from tandem.errors import NonFiniteError


@dataclass
class _Seen:
    """What was seen of one phase in the last step before updates were refused.

    Attributes:
        names: Of its loss terms.
        networks: That it trains.
        report: Its terms, then the sum of squares or norms of each network's gradients; float.
        refused: 1 if this phase was the first to be refused, else 0.
    """

    names: tuple[str, ...]
    networks: tuple[str, ...]
    report: Tensor
    refused: Tensor


class FiniteGuard:
    """Looks at every phase's terms and gradients before its update.

    Args:
        deferred: Leave the verdict on the device until `settle`. Optimisers must then be fused ones, which obey it.
    """

    def __init__(self, *, deferred: bool) -> None:
        self.deferred = deferred
        self._seen: dict[str, _Seen] = {}
        self._refused: Tensor | None = None
        self._good_steps: Tensor | None = None

    def look(self, phase: str, terms: Sequence[str], values: Tensor, gradients: Mapping[str, Sequence[Tensor]]) -> None:
        """Check one phase.

        Args:
            phase: Its name.
            terms: Names of its terms.
            values: The terms, ``(len(terms),)``, detached.
            gradients: Of each network that it trains; none where a loss scaler looks after them.

        Raises:
            NonFiniteError: Not deferred, and something is not finite.
        """
        report = _report(values, gradients)
        bad = ~torch.isfinite(report.sum())
        seen = self._seen.get(phase)
        if seen is None:
            seen = _Seen(tuple(terms), tuple(gradients), torch.zeros_like(report), bad.float())
            self._seen[phase] = seen
        if not self.deferred:
            seen.report, seen.refused = report, bad.float()
            if bool(bad):
                broken = [name for name, group in gradients.items() if not all(_is_finite(g) for g in group)]
                raise NonFiniteError(_describe(phase, seen, broken))
            return
        if self._refused is None or self._good_steps is None:
            self._refused, self._good_steps = torch.zeros_like(seen.refused), torch.zeros_like(seen.refused)
        before = self._refused > 0
        seen.report.copy_(torch.where(before, seen.report, report))
        seen.refused.copy_(torch.where(before, seen.refused, bad.float()))
        self._refused.copy_(torch.where(before, self._refused, bad.float()))

    def restrain(self, optimizer: Optimizer) -> None:
        """Make the optimiser's next update void if anything so far was not finite."""
        if self.deferred:
            assert optimizer.defaults.get("fused"), "only fused optimisers obey a verdict that is on the device"
            optimizer.found_inf = self._refused  # pyright: ignore[reportAttributeAccessIssue]

    def end_step(self) -> None:
        """Count the step, if it was a good one."""
        if self._good_steps is not None and self._refused is not None:
            self._good_steps += 1 - self._refused

    def settle(self) -> None:
        """Wait for the device and say whether all steps since the last call were good; then begin anew.

        Raises:
            RefusedStepError: One was not.
        """
        if self._refused is None or self._good_steps is None:
            return
        refused, good = bool(self._refused > 0), int(self._good_steps)
        phase = next((name for name, seen in self._seen.items() if refused and bool(seen.refused > 0)), None)
        message = None if phase is None else _describe(phase, self._seen[phase])
        self._refused.zero_()
        self._good_steps.zero_()
        if message is not None:
            raise RefusedStepError(message, good_steps=good)


class RefusedStepError(NonFiniteError):
    """A step was refused some time ago.

    Attributes:
        good_steps: Steps since the last settlement that came before it.
    """

    def __init__(self, message: str, *, good_steps: int) -> None:
        super().__init__(message)
        self.good_steps = good_steps


def _report(values: Tensor, gradients: Mapping[str, Sequence[Tensor]]) -> Tensor:
    """The terms, then one number for each network that is finite exactly if its gradients' squares can be summed."""
    # On the CPU a dot product takes half the time of a norm; elsewhere one kernel for all gradients counts more.
    on_cpu = values.device.type == "cpu"
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    numbers = [values.to(wide)]
    for group in gradients.values():
        flat = list(group)
        sums = [torch.dot(g.flatten(), g.flatten()) for g in flat] if on_cpu else torch._foreach_norm(flat)
        numbers.append(torch.stack(tuple(sums)).to(wide).sum()[None])
    return torch.cat(numbers)


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _describe(phase: str, seen: _Seen, broken: Sequence[str] | None = None) -> str:
    """Say what was not finite; `broken` names networks whose gradients themselves are not, where that is known."""
    numbers, finite = seen.report.tolist(), torch.isfinite(seen.report).tolist()
    values = ", ".join(f"{name} {value:.4g}" for name, value in zip(seen.names, numbers, strict=False))
    bad_terms = [name for name, good in zip(seen.names, finite, strict=False) if not good]
    suspects = [name for name, good in zip(seen.networks, finite[len(seen.names) :], strict=False) if not good]
    if bad_terms:
        several = len(bad_terms) > 1
        what = f"the loss term{'s' * several} {', '.join(bad_terms)} {'are' if several else 'is'} not finite"
    elif broken:
        what = f"the gradient of {', '.join(broken)} is not finite (all loss terms are)"
    elif broken is not None:
        what = "the gradient's norm overflows"
    else:
        what = f"the gradient of {', '.join(suspects)} or its norm is not finite (all loss terms are)"
    return f"phase '{phase}': {what} ({values})"
