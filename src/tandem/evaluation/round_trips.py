"""What needs no pairs: how far an image is from what comes back of it, and an output from what a model makes of it."""

from collections.abc import Sequence

import numpy as np

from tandem.config.run import METHODS
from tandem.evaluation import paired
from tandem.evaluation.measurements import spec_text, to_batch
from tandem.evaluation.sources import Loaded, ModelCase, SampledModel


class CycleDistance:
    """L1 of an input to what the way there and back makes of it, ``(1,)``, on the scale 0..1."""

    num_samples = 1

    def __init__(self) -> None:
        self.spec = spec_text("cycle")

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        rows = []
        for one in loaded:
            case = one.case
            assert isinstance(case, ModelCase)
            model = case.model
            _, again = model.translator.cycle(one.input, fit=model.fit, direction=model.direction, output="array")
            rows.append(paired.l1(to_batch(again[None]), to_batch(one.input[None])).cpu().numpy())
        return rows


class IdentityDistance:
    """L1 of a real output to what the generator makes of it, ``(1,)``, on the scale 0..1.

    Args:
        model: The generator; its inputs have the channels of its outputs.
    """

    num_samples = 1

    def __init__(self, model: SampledModel) -> None:
        # A real image knows nothing of the model, so the row's key has to.
        self.spec = spec_text("identity", {"model": model.fingerprint, "seed": model.seed})
        self._model = model

    def __call__(self, loaded: Sequence[Loaded]) -> list[np.ndarray]:
        """See `Measurement`."""
        model, rows = self._model, []
        for one in loaded:
            image = one.samples(1)
            kept = model.translator(
                image[0],
                1 if model.translator.is_stochastic else None,
                seed=model.seed,
                fit=model.fit,
                direction=model.direction,
                output="array",
            )
            rows.append(paired.l1(to_batch(kept), to_batch(image)).cpu().numpy())
        return rows


def trains_on_domains(method: str) -> bool:
    """Whether a method trains on two domains whose images do not belong together."""
    return method in METHODS and not METHODS[method].paired
