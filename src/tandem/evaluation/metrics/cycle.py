"""Cycle: how far an input is from what comes back of it; needs no pairs, but a model that translates both ways."""

from typing import ClassVar

import numpy as np

from tandem.evaluation.cases import Loaded, ModelCase
from tandem.evaluation.estimates import mean_estimate
from tandem.evaluation.metric import Found, Metric, Number, Setup, UnmetNeedError
from tandem.evaluation.metrics.l1 import l1
from tandem.evaluation.rows.measurement import EachCase, to_batch
from tandem.report.scores import MetricResult


class Cycle(Metric):
    """L1 of an input to what the way there and back makes of it, on the scale 0..1."""

    name: ClassVar = "cycle"
    title: ClassVar = "There and back: L1 of an input to what comes back"
    numbers: ClassVar = (Number("cycle", "lower", decides_unpaired=20),)
    is_cheap: ClassVar = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rows = _CycleRows("cycle")
        self.on_cases = (self._rows,)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        model = setup.subject.model
        if model is None or len(model.translator.directions) != 2:
            raise UnmetNeedError("it needs a model that translates in both directions (CycleGAN)")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        rows = found.cases[self._rows.spec]
        score = self.numbers[0].score(mean_estimate(rows[:, 0], seed=self.seed))
        depends = {"images": len(rows), "seed": self.seed}
        return MetricResult(metric=self.name, title=self.title, scores=(score,), depends_on=depends)

    def per_input(self, found: Found) -> np.ndarray:
        """See `Metric`."""
        return found.cases[self._rows.spec].mean(axis=1)


class _CycleRows(EachCase):
    """The distance of a case, ``(1,)``."""

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        model = case.model
        _, again = model.translator.cycle(loaded.input, fit=model.fit, direction=model.direction, output="array")
        return l1(to_batch(again[None]), to_batch(loaded.input[None])).cpu().numpy()
