"""When phases join that are not part of the steps from the beginning: the discriminators of `tandem`.

They join when reconstruction has ceased to improve by itself. The run is counted in windows of a fortieth of its
length, in each of which the mean of the watched term is taken. At the end of a window, from the sixteenth on, late
phases join if the lowest mean of the last eight, a fifth of the run, is not at least 5 % below the lowest of the eight
before them. They join after three quarters of the run at the latest. So data with textures, which no latent of a few
numbers reconstructs, has its discriminators early, and data whose outputs are decided by their latent has them late.
(Lowest means, and of a fifth, because at a high rate L1 jumps up now and then and takes up to a tenth of the run to
come back: by windows of a tenth the discriminators joined in the demo after such a jump, at half of the run.)

The rule follows from the losses of the run alone: it is the same in all processes and for a run that was continued.
"""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tandem.config.method import MethodConfig
from tandem.config.tandem import TandemConfig
from tandem.objectives.objective import Objective, Terms

WINDOWS = 40
FIFTH = 8
"""Windows."""
LEAST_FALL = 0.05
LATEST = 0.75
WATCHED = "l1"

log = logging.getLogger(__name__)


class Joining:
    """Decides when late phases join; see the file's head.

    Args:
        share: A share of the run after which they join, whatever the losses; None: by the rule.
        late: The networks that late phases train.

    Attributes:
        joined_at: The step before which they joined; None as long as they have not.
    """

    def __init__(self, share: float | None, late: frozenset[str]) -> None:
        self._share, self._late = share, late
        self.joined_at: int | None = None
        self._means: list[float] = []
        self._sum: Tensor | None = None
        self._count = 0

    @classmethod
    def of(cls, objective: Objective, config: MethodConfig) -> "Joining | None":
        """What decides for a method; None where it has no late phases."""
        late = frozenset(name for phase in objective.phases if phase.joins_late for name in phase.networks)
        if not late:
            return None
        return cls(config.gan_from if isinstance(config, TandemConfig) else None, late)

    def has_joined(self, step: int, total: int) -> bool:
        """Whether the next step has the late phases; `step` are done of `total`."""
        if self.joined_at is None:
            latest = LATEST if self._share is None else self._share
            if step >= latest * total or (self._share is None and self._is_flat()):
                self.joined_at = step
                log.info("%s joins the training after %d of %d steps", ", ".join(sorted(self._late)), step, total)
        return self.joined_at is not None

    def observe(self, terms: Terms, step: int, total: int) -> None:
        """Take note of the terms of a step, the last of `step` that are done; reads one number a window."""
        if self.joined_at is not None or self._share is not None:
            return
        term = terms[WATCHED].detach()
        term = term.to(torch.float64 if term.device.type != "mps" else torch.float32)
        self._sum = term if self._sum is None else self._sum.to(term) + term
        self._count += 1
        if step * WINDOWS // total != (step - 1) * WINDOWS // total:
            self._means.append(self._sum.item() / self._count)
            self._sum, self._count = None, 0

    def _is_flat(self) -> bool:
        last, before = self._means[-FIFTH:], self._means[-2 * FIFTH : -FIFTH]
        return len(before) == FIFTH and min(last) > (1 - LEAST_FALL) * min(before)

    def state(self) -> dict[str, Any]:
        """What a continued run needs, as JSON."""
        return {
            "joined_at": self.joined_at,
            "means": list(self._means),
            "sum": 0.0 if self._sum is None else self._sum.item(),
            "count": self._count,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.joined_at = state["joined_at"]
        self._means = [float(mean) for mean in state["means"]]
        self._count = int(state["count"])
        self._sum = torch.tensor(float(state["sum"]), dtype=torch.float64) if self._count else None

    def not_yet_stepped(self, state: Mapping[str, Any], step: int) -> frozenset[str]:
        """Networks without any update in a state of `step` steps."""
        joined_at = state["joined_at"]
        return self._late if joined_at is None or joined_at >= step else frozenset()
