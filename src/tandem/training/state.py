"""The training state: everything that a resumed run needs, bit for bit.

Random numbers and the order of the data are functions of (seed, position) and need no state beyond the step.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tandem.errors import CheckpointError
from tandem.objectives.objective import Objective, Terms
from tandem.objectives.pool import ImagePool
from tandem.training.ema import EMA
from tandem.training.joining import Joining


class LossMeter:
    """Means of the loss terms since the last line of the log, kept on the device until they are read.

    A term that joins between two lines has its mean over the steps that had it.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._sums: Tensor | None = None

    @property
    def sums(self) -> dict[str, Tensor]:
        """The sum of each term."""
        return {} if self._sums is None else dict(zip(self.counts, self._sums.unbind(), strict=True))

    def add(self, terms: Terms) -> None:
        """Add the terms of one step."""
        stacked = torch.stack(list(terms.values()))
        wide = stacked.to(torch.float64 if stacked.device.type != "mps" else torch.float32)
        names = list(self.counts)
        if self._sums is None or names == list(terms):
            self._sums = wide if self._sums is None else self._sums + wide
        else:  # terms have joined, or a loaded sum has them in another order
            joined = {name: torch.zeros_like(wide[0]) for name in terms if name not in self.counts}
            sums = self.sums | joined
            added = dict(zip(terms, wide.unbind(), strict=True))
            self._sums = torch.stack([total + added[name] if name in added else total for name, total in sums.items()])
            names = list(sums)
        names = names or list(terms)
        self.counts = {name: self.counts.get(name, 0) + (name in terms) for name in names}

    def means(self) -> dict[str, float]:
        """Mean of each term over the steps that had it; reading waits for the device."""
        if self._sums is None:
            return {}
        return {name: total / self.counts[name] for name, total in zip(self.counts, self._sums.tolist(), strict=True)}

    def reset(self) -> None:
        """Start a new mean."""
        self.counts, self._sums = {}, None

    def load(self, sums: Mapping[str, Tensor], counts: Mapping[str, int], *, device: torch.device) -> None:
        """Take over what `sums` and `counts` gave."""
        self.counts = {name: int(counts[name]) for name in sums}
        self._sums = torch.stack([tensor.to(device) for tensor in sums.values()]) if sums else None


class TrainingState:
    """Networks, optimisers, moving average, image pools, fp16's scale, step and the running means of the log.

    Attributes:
        joining: Decides when late phases join; None where the method has none.
        step: Optimiser steps done.
        waited: Validations since the one with the best number.
    """

    start: Mapping[str, Any] | None = None
    """Where the weights that the run began with come from, as JSON (see `tandem.training.start`); None: drawn."""

    def __init__(
        self,
        objective: Objective,
        optimizers: Mapping[str, Optimizer],
        ema: EMA | None,
        *,
        scaler: torch.amp.GradScaler | None = None,
        joining: Joining | None = None,
    ) -> None:
        self.objective = objective
        self.joining = joining
        self.optimizers = dict(optimizers)
        self.ema = ema
        self.scaler = scaler
        self.meter = LossMeter()
        self.step = 0
        self.waited = 0

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state, by a flat name."""
        named = {f"network/{key}": value for key, value in self.objective.networks.state_dict().items()}
        if self.ema is not None:
            named |= {f"ema/{key}": value for key, value in self.ema.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, entry in optimizer.state_dict()["state"].items():
                named |= {f"optimizer/{name}/{index}/{key}": value for key, value in entry.items()}
        for name, pool in self.objective.pools.items():
            named |= {f"pool/{name}/{key}": value for key, value in pool.tensors().items()}
        named |= {f"meter/{name}": value for name, value in self.meter.sums.items()}
        return named

    def metadata(self) -> dict[str, Any]:
        """What the state holds besides tensors, as JSON."""
        scale = {} if self.scaler is None else {"loss_scale": self.scaler.state_dict()}
        start = {} if self.start is None else {"start": dict(self.start)}
        joining = {} if self.joining is None else {"joining": self.joining.state()}
        counts = {"step": self.step, "waited": self.waited, "meter_counts": dict(self.meter.counts)}
        features = self.objective.features
        seen_with = {} if features is None else {"feature_weights": features.sha256}
        return counts | scale | start | joining | seen_with

    @property
    def images_before(self) -> int:
        """Training images that the EMA had seen before the first step of this run."""
        return 0 if self.start is None else int(self.start["ema_images"])

    def load(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            CheckpointError: Tensors are missing, left over or of another shape, or features are those of another file;
                nothing has been changed then.
        """
        groups: dict[str, dict[str, Tensor]] = {kind: {} for kind in ("network", "ema", "optimizer", "pool", "meter")}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = tensor
        expected = {"network": self.objective.networks.state_dict()}
        expected["ema"] = self.ema.state_dict() if self.ema is not None else {}
        expected["optimizer"] = _adam_layout(self.optimizers, groups["optimizer"])
        problems = [p for group, own in expected.items() for p in _misfits(group, own, groups[group])]
        # Adam makes its moments in its first step.
        stepped = set(self.optimizers) if int(metadata["step"]) > 0 else set()
        if self.joining is not None:
            stepped -= self.joining.not_yet_stepped(metadata["joining"], int(metadata["step"]))
        without = [name for name in stepped if not any(key.startswith(f"{name}/") for key in groups["optimizer"])]
        problems += [f"  - optimizer {name} has no state" for name in without]
        problems += [
            f"  - tensors of the unknown kind {group}" for group in groups.keys() - expected.keys() - {"meter", "pool"}
        ]
        problems += _pool_misfits(self.objective.pools, groups["pool"], stepped=int(metadata["step"]) > 0)
        problems += _other_features(self.objective, metadata)
        if problems:
            raise CheckpointError("the checkpoint does not fit this run:\n" + "\n".join(problems[:20]))
        self.objective.networks.load_state_dict(groups["network"])
        if self.ema is not None:
            self.ema.networks.load_state_dict(groups["ema"])
        for name, optimizer in self.optimizers.items():
            _load_optimizer(optimizer, f"{name}/", groups["optimizer"])
        device = next(self.objective.networks.parameters()).device
        for name, pool in self.objective.pools.items():
            pool.load(_under(f"{name}/", groups["pool"]), device=device)
        self.meter.load(groups["meter"], metadata["meter_counts"], device=device)
        if self.joining is not None:
            self.joining.load(metadata["joining"])
        if self.scaler is not None:
            self.scaler.load_state_dict(metadata["loss_scale"])
        self.step, self.start = int(metadata["step"]), metadata.get("start")
        self.waited = int(metadata["waited"])


def _misfits(group: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    problems = [f"  - {group} {name} is missing" for name in own if name not in given]
    problems += [f"  - {group} {name} is not part of this model" for name in given if name not in own]
    problems += [
        f"  - {group} {name} has the shape {tuple(given[name].shape)}, this model's has {tuple(own[name].shape)}"
        for name in own
        if name in given and own[name].shape != given[name].shape
    ]
    return problems


def _other_features(objective: Objective, metadata: Mapping[str, Any]) -> list[str]:
    """Say that the features that a loss compares are not those that the checkpoint was trained with."""
    before, now = metadata.get("feature_weights"), None if objective.features is None else objective.features.sha256
    if before == now:
        return []
    return [f"  - the file of --feature-weights: its SHA-256 was {before}, is {now}; give the file that it began with"]


def _pool_misfits(pools: Mapping[str, ImagePool], given: Mapping[str, Tensor], *, stepped: bool) -> list[str]:
    known = {f"{name}/images" for name in pools}
    problems = [f"  - pool {name} is not part of this model" for name in given if name not in known]
    for name, pool in pools.items():
        images = given.get(f"{name}/images")
        if images is None and stepped and pool.size:
            problems.append(f"  - pool {name} is missing")
        if images is not None and (images.ndim != 4 or not 0 < len(images) <= pool.size):
            problems.append(f"  - pool {name} has the shape {tuple(images.shape)}, this run keeps {pool.size} images")
    return problems


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _adam_layout(optimizers: Mapping[str, Optimizer], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Adam's tensors, without content, of the parameters that `given` has any of: it keeps none without a gradient."""
    present = {name.rpartition("/")[0] for name in given}
    layout = {}
    for name, optimizer in optimizers.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, parameter in enumerate(parameters):
            if f"{name}/{index}" not in present:
                continue
            layout[f"{name}/{index}/step"] = torch.empty((), device="meta")
            for moment in ("exp_avg", "exp_avg_sq"):
                layout[f"{name}/{index}/{moment}"] = torch.empty(parameter.shape, device="meta")
    return layout


def _load_optimizer(optimizer: Optimizer, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(prefix, tensors).items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    # The fused kernels walk weight and moments side by side: the moments need the weights' memory layout, and the step
    # count their device; load_state_dict restores neither.
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if key == "step":
                entry[key] = value.to(parameter.device, torch.float32)
            else:
                entry[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
