"""The prior of a run's model: fitted to the posteriors of training images whenever the run takes stock.

Nothing that a step computes depends on it, so it is no part of the training state: it follows from the weights, the
training images and the seed. Images are chosen by the seed and brought to the training size without a draw
(`tandem.data.fit.FitRule.fixed`). Checkpoints carry it all the same, so that a model can be made of one without the
data.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tandem.checkpoint.bundle import FittedPrior
from tandem.config.data import Direction
from tandem.config.latent_prior import Components, LatentPriorOptions, PriorName
from tandem.config.run import RunConfig
from tandem.data.fit import FitRule
from tandem.data.levels import BY_TYPE, Levels, levels_of_run
from tandem.data.order import GlobalOrder, ShardOrder
from tandem.data.shards.items import ShardItems
from tandem.data.splits import Pair, PairedSplit
from tandem.errors import NonFiniteError
from tandem.networks.pair_encoder import encode_pair
from tandem.prior.distributions import NormalPrior, Prior
from tandem.prior.fitting import Choice, choose_components, fit_mixture
from tandem.prior.posteriors import Posteriors
from tandem.report.records import LatentFacts
from tandem.threads import usable_cores
from tandem.training.inputs import Inputs
from tandem.training.snapshot import sampling_state
from tandem.training.state import TrainingState

BATCH = 16
"""Images that are encoded at once, everywhere: the last bits depend on it."""
MOST_MEASURED = 500
"""Images whose latents are encoded where they are measured alone, and no prior is fitted to them."""
KEPT_BYTES = 10**9
"""Memory in which the images may stay from one fit to the next."""
MOST_READERS = 8

log = logging.getLogger(__name__)


def choose_pairs(split: PairedSplit, number: int, *, seed: int) -> list[Pair]:
    """At most `number` pairs of a split, chosen by the seed; of shards those of a few, so that few are read."""
    pairs = split.pairs
    if isinstance(pairs, ShardItems):
        order = ShardOrder(seed, pairs.counts, stream="/prior")
    else:
        order = GlobalOrder(seed, len(pairs))
    chosen = sorted(order.index(0, offset) for offset in range(min(number, len(pairs))))
    return [pairs[index] for index in chosen]


class FixedPairs:
    """Some pairs at the training size, read batch by batch.

    Args:
        pairs: Which.
        rule: What training did to the sizes of images.
        multiple: What the sides of the generator's input are multiples of.
        direction: Which side is the input.
        channels: Of the input and of the output.
        levels: Likewise, which values are -1 and 1.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        rule: FitRule,
        *,
        multiple: int,
        direction: Direction,
        channels: tuple[int, int],
        levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
    ) -> None:
        self._pairs, self._rule, self._multiple = pairs, rule, multiple
        self._direction: Direction = direction
        self._channels, self._levels = channels, levels
        height, width = rule.size
        self._keeps = len(pairs) * height * width * sum(channels) <= KEPT_BYTES
        self._kept: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def encode(
        self,
        encoder: nn.Module,
        device: torch.device,
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Posteriors:
        """The posteriors of all pairs.

        Args:
            encoder: In the state of sampling, on `device`.
            device: Where it is.
            on_progress: Called with the pairs done and those in all.

        Raises:
            DataError: A file cannot be read.
            NonFiniteError: The encoder gives values that are not finite.
        """
        mu, logvar = [], []
        with ThreadPoolExecutor(min(MOST_READERS, usable_cores())) as executor, torch.inference_mode():
            for start in range(0, len(self), BATCH):
                images = self._batch(start, executor)
                a, b = (
                    torch.stack([torch.from_numpy(levels.to_floats(pair[side])) for pair in images]).to(device)
                    for side, levels in enumerate(self._levels)
                )
                found = encode_pair(encoder, a, b)
                mu.append(found[0].double().cpu().numpy())
                logvar.append(found[1].double().cpu().numpy())
                if on_progress is not None:
                    on_progress(start + len(images), len(self))
        posteriors = Posteriors(np.concatenate(mu), np.concatenate(logvar))
        if not posteriors.is_finite:
            raise NonFiniteError("the latents of training images are not finite: the weights have diverged")
        return posteriors

    def _batch(self, start: int, executor: ThreadPoolExecutor) -> list[tuple[np.ndarray, np.ndarray]]:
        kept = self._kept.get(start)
        if kept is None:
            kept = list(executor.map(self._read, self._pairs[start : start + BATCH]))
            if self._keeps:
                self._kept[start] = kept
        return kept

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        channels_a, channels_b = self._channels
        levels_a, levels_b = self._levels
        a, b = pair.read(
            self._direction, channels_a=channels_a, channels_b=channels_b, levels_a=levels_a, levels_b=levels_b
        )
        return (
            self._rule.fixed(a, multiple=self._multiple, method=levels_a.resampling),
            self._rule.fixed(b, multiple=self._multiple, method=levels_b.resampling),
        )


@dataclass(frozen=True)
class Study:
    """What the posteriors of some images say.

    Attributes:
        posteriors: They.
        points: Latents drawn from them, ``(images, latents of each, D)``.
        choice: How many Gaussians describe them best; None for too few images.
    """

    posteriors: Posteriors
    points: np.ndarray
    choice: Choice | None

    @classmethod
    def of(cls, posteriors: Posteriors, *, seed: int) -> "Study":
        """Draw and choose by the seed."""
        points = posteriors.draw(seed=seed)
        return cls(posteriors, points, choose_components(points, seed=seed))

    def fit(self, prior: PriorName, components: Components, *, seed: int) -> FittedPrior | None:
        """Fit a prior; None for N(0, I).

        Raises:
            NonFiniteError: The latents are too large.
        """
        if prior == "normal":
            return None
        number = 1 if prior == "gaussian" else components
        if number == "auto":
            number = 1 if self.choice is None else self.choice.components
        try:
            return FittedPrior(fit_mixture(self.points, number, seed=seed), len(self.points))
        except ValueError as error:
            raise NonFiniteError(f"no prior can be fitted to the latents of training images: {error}") from error

    def facts(self, prior: Prior) -> LatentFacts:
        """How far the latents are from a prior, and how many dimensions they use."""
        return LatentFacts(
            prior=prior.describe(),
            distance=None if self.choice is None else self.choice.distance_from(prior),
            active=self.posteriors.active_dimensions,
            images=len(self.points),
        )


class RunPrior:
    """The prior of a run's model at its current step; each step's is computed once, when it is first asked for."""

    def __init__(self, config: RunConfig, inputs: Inputs, state: TrainingState, *, device: torch.device) -> None:
        self._config, self._inputs, self._state, self._device = config, inputs, state, device
        own = config.objective
        self._options = own if isinstance(own, LatentPriorOptions) else LatentPriorOptions()
        self._seed = config.training.seed
        self._has_encoder = "encoder" in state.objective.networks and isinstance(inputs.splits["train"], PairedSplit)
        self._pairs: FixedPairs | None = None
        self._study: tuple[int, Study] | None = None
        self._fitted: tuple[int, FittedPrior] | None = None

    def fitted(self) -> FittedPrior | None:
        """What the model's bundle holds; None where latents are drawn from N(0, I).

        Raises:
            DataError: A training image cannot be read any more.
            NonFiniteError: The encoder gives values that are not finite.
        """
        if self._options.prior == "normal":
            return None
        step = self._state.step
        if self._fitted is None or self._fitted[0] != step:
            options = self._options
            fitted = self._studied().fit(options.prior, options.prior_components, seed=self._seed)
            assert fitted is not None, "not normal"
            self._fitted = step, fitted
        return self._fitted[1]

    def prior(self) -> Prior:
        """What latents are drawn from; raises as `fitted`."""
        fitted = self.fitted()
        return NormalPrior(self._config.objective.latent_dim) if fitted is None else fitted.prior

    def facts(self) -> LatentFacts | None:
        """How the latents of training images stand to the prior; None without an encoder. Raises as `fitted`."""
        return self._studied().facts(self.prior()) if self._has_encoder else None

    def _studied(self) -> Study:
        step = self._state.step
        if self._study is None or self._study[0] != step:
            begun, is_first = time.monotonic(), self._study is None
            self._study = step, Study.of(self._encode(), seed=self._seed)
            if is_first and self._options.prior != "normal":
                log.info(
                    "the prior is fitted to the latents of %d training images whenever the model is measured or saved, "
                    "the first time in %.1f s",
                    len(self._study[1].points),
                    time.monotonic() - begun,
                )
        return self._study[1]

    def _encode(self) -> Posteriors:
        state, objective = self._state, self._state.objective
        if self._pairs is None:
            self._pairs = self._open()
        networks = state.ema.networks if state.ema is not None else objective.networks
        with sampling_state(networks, ("encoder",), noise=objective.samples_with_noise):
            return self._pairs.encode(networks["encoder"], self._device)

    def _open(self) -> FixedPairs:
        split, data = self._inputs.splits["train"], self._config.data
        assert isinstance(split, PairedSplit), "has an encoder"
        number = self._options.prior_images
        if self._options.prior == "normal":
            number = min(number, MOST_MEASURED)
        return FixedPairs(
            choose_pairs(split, number, seed=self._seed),
            FitRule.of(data),
            multiple=self._state.objective.networks["generator"].spec.size_multiple,  # type: ignore[union-attr]
            direction=data.direction,
            channels=(data.input_channels, data.output_channels),
            levels=levels_of_run(data),
        )
