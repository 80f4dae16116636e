"""Mode coverage on the demo dataset, whose distribution of outputs is known; see `tandem.data.synthetic`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tandem.data.synthetic import Coverage, DemoInfo, classify_mode, coverage, load_dataset_info
from tandem.data.unpaired import find_unpaired
from tandem.evaluation.cases import Loaded, ModelCase
from tandem.evaluation.metric import Found, Metric, Number, Setup, UnmetNeedError
from tandem.evaluation.rows.measurement import EachCase
from tandem.inference.translator import Translator
from tandem.report.scores import MetricResult
from tandem.rng import derive_seed


def modes_of(samples: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mode that each sample of one input shows.

    Args:
        samples: ``(M, H, W, 3)``, uint8.
        mask: ``(H, W)``, bool: where the object of the input is.

    Returns:
        ``(M,)``, int64; -1 where a sample shows none.

    Examples:
        >>> import numpy as np
        >>> modes_of(np.full((2, 8, 8, 3), 255, np.uint8), np.ones((8, 8), bool))
        array([-1, -1])
    """
    return np.array([classify_mode(sample, mask) for sample in samples], dtype=np.int64)


@dataclass(frozen=True)
class MeasuredCoverage:
    """The coverage of a model and what it was computed from.

    Attributes:
        coverage: See `tandem.data.synthetic.Coverage`.
        modes: Mode of each sample, ``(inputs, samples)``; −1 where it has none.
    """

    coverage: Coverage
    modes: np.ndarray


def measure_coverage(
    translator: Translator,
    info: DemoInfo,
    *,
    split: str = "test",
    num_samples: int = 16,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> MeasuredCoverage:
    """Sample every input of a split of the demo dataset and say which modes appear.

    Every input gets latents of its own, so that all samples together are independent draws.

    Args:
        translator: A model that translates drawings (A) into renderings (B).
        info: The demo dataset.
        split: Of which split the inputs are.
        num_samples: Samples of each input.
        seed: Of the samples.
        on_progress: Called with inputs done and inputs in all.
    """
    preprocessing = translator.manifest.preprocessing
    folder = find_unpaired(info.root)[split]  # reads any layout: the ground truth is not needed
    inputs = folder.inputs(preprocessing.direction)
    modes = np.empty((len(inputs), num_samples), dtype=np.int64)
    for index, single in enumerate(inputs):
        image = single.read_image(preprocessing.input_channels)
        z = translator.sample_z(num_samples, seed=derive_seed(seed, "coverage", position=index))
        outputs = translator(image, z=z, output="array")
        mask = info.mask(split, single.name)
        modes[index] = modes_of(outputs, mask)
        if on_progress is not None:
            on_progress(index + 1, len(inputs))
    return MeasuredCoverage(coverage(modes), modes)


class ModeCoverage(Metric):
    """How many modes the samples show, how often, and whether an encoded style gives the mode it was read from.

    See `tandem.data.synthetic.Coverage`.
    """

    name: ClassVar = "mode-coverage"
    title: ClassVar = "Mode coverage"
    numbers: ClassVar = ()

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        folder = setup.subject.demo_folder
        assert folder is not None, "checked"
        split = setup.subject.data["split"]
        info = load_dataset_info(folder)
        self._rows = _ModeRows(info, split, setup.subject.num_samples)
        model = setup.subject.model
        self._reconstructions = None
        if model is not None and model.translator.abilities.has_encoder and setup.subject.has_ground_truth:
            self._reconstructions = _ReconstructedModeRows(info, split)
        self.on_cases = (self._rows,) if self._reconstructions is None else (self._rows, self._reconstructions)

    @classmethod
    def check(cls, setup: Setup) -> None:
        """See `Metric`."""
        super().check(setup)
        if setup.subject.demo_folder is None:
            raise UnmetNeedError("it needs the demo dataset (tandem data demo), whose distribution is known")
        model = setup.subject.model
        if model is not None and model.direction != "AtoB":
            raise UnmetNeedError("it needs a model that translates drawings (A) into renderings (B)")

    def summarise(self, found: Found) -> MetricResult:
        """See `Metric`."""
        modes = found.cases[self._rows.spec]
        measured, count = coverage(modes.astype(np.int64)), len(modes)
        ideal = f"an ideal sampler: {measured.expected_frequency_distance:.3f}"
        number_of = f"of {measured.num_modes}; ideal: {measured.expected:.2f}"
        scores = [
            Number("modes", "higher").plain_score(measured.covered, count, number_of),
            Number("frequency-distance", "lower").plain_score(measured.frequency_distance, count, ideal),
            Number("no-mode", "lower").plain_score(measured.unassigned, count, "share of samples that show no mode"),
        ]
        if self._reconstructions is not None:
            shown, true = found.cases[self._reconstructions.spec].astype(np.int64).T
            note = "share of ground truths whose encoded style gives their mode again"
            again = Number("mode-reconstructed", "higher")
            scores.append(again.plain_score(float((shown == true).mean()), count, note))
        frequencies = list(measured.frequencies)
        return MetricResult(
            metric=self.name,
            title=self.title,
            scores=tuple(scores),
            depends_on={"inputs": count, "samples": measured.num_samples, "frequencies": frequencies},
            outcomes=("frequencies",),
            shares={str(index + 1): share for index, share in enumerate(frequencies)},
            shares_title="Share of the samples by mode",
        )


class _ModeRows(EachCase):
    """The mode of each sample of a case, ``(M,)``; -1 for none."""

    def __init__(self, info: DemoInfo, split: str, num_samples: int) -> None:
        super().__init__("modes", num_samples=num_samples, depends_on=_known_by(info, split))
        self._info, self._split = info, split

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        return modes_of(loaded.samples(self.num_samples), self._info.mask(self._split, case.job.name))


class _ReconstructedModeRows(EachCase):
    """The mode of what is generated from the encoded style of the ground truth, and its true mode, ``(2,)``."""

    def __init__(self, info: DemoInfo, split: str) -> None:
        super().__init__("reconstructed-modes", depends_on=_known_by(info, split))
        self._info, self._split = info, split

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        case = loaded.case
        assert isinstance(case, ModelCase)
        name = case.job.name
        shown = modes_of(case.reconstruct(loaded), self._info.mask(self._split, name))
        return np.array([shown[0], self._info.entry(self._split, name).mode])


def _known_by(info: DemoInfo, split: str) -> dict[str, object]:
    return {"seed": info.seed, "size": info.size, "split": split}
