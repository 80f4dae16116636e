"""Identity: how far a real output is from what the model makes of it; needs no pairs."""

from typing import ClassVar

import numpy as np

from tandem.config.run import METHODS
from tandem.evaluation.cases import Loaded, SampledModel
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.metric import Found, Metric, Number, Setup, UnmetNeedError
from tandem.evaluation.metrics.cycle import Cycle
from tandem.evaluation.metrics.l1 import l1
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult


class Identity(Metric):
    """L1 of a real output to what the generator makes of it, on the scale 0..1."""

    name: ClassVar = "identity"
    title: ClassVar = "Identity: L1 of a real output to what the model makes of it"
    numbers: ClassVar = (Number("identity", "lower", decides_unpaired=10),)
    is_cheap: ClassVar = True
    is_cheap_without: ClassVar = Cycle

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        assert setup.subject.model is not None, "checked"
        self._rows = _IdentityRows(setup.subject.model)
        self.on_reals = (self._rows,)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        model = setup.subject.model
        if model is None or not _trains_on_domains(model.translator.manifest.method):
            raise UnmetNeedError("it needs a model that was trained on two domains (CycleGAN, CUT)")
        spec = model.translator.abilities.generator(model.direction).spec
        if spec.in_channels != spec.out_channels:
            raise UnmetNeedError("it needs a model whose inputs have the channels of its outputs")
        taken, given = model.translator.levels(model.direction)
        if taken.classes != given.classes:
            raise UnmetNeedError("it needs a model whose inputs have the classes of its outputs")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = found.reals[self._rows.spec]
        score = self.numbers[0].score(mean_estimate(rows[:, 0], seed=self.seed))
        depends = {"images": len(rows), "seed": self.seed}
        return MetricResult(metric=self.name, title=self.title, scores=(score,), depends_on=depends)


class _IdentityRows(EachCase):
    """The distance of a real image, ``(1,)``.

    Args:
        model: The generator; its inputs have the channels of its outputs.
    """

    is_of_model = True

    def __init__(self, model: SampledModel) -> None:
        # A real image knows nothing of the model, so the row's key has to.
        super().__init__("identity", depends_on={"model": model.fingerprint, "seed": model.seed})
        self._model = model

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        model, image = self._model, loaded.samples(1)
        kept = model.translator(
            image[0],
            1 if model.translator.is_stochastic else None,
            seed=model.seed,
            fit=model.fit,
            direction=model.direction,
            output="array",
        )
        return l1(to_batch(kept), to_batch(image)).cpu().numpy()


def _trains_on_domains(method: str) -> bool:
    """Whether a method trains on two domains whose images do not belong together."""
    return method in METHODS and not METHODS[method].paired
