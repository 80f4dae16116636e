"""Mode coverage on the demo dataset, whose distribution of outputs is known; see `tandem.data.synthetic`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tandem.data.datasets import read_single
from tandem.data.synthetic import Coverage, DemoInfo, classify_mode, coverage
from tandem.data.unpaired import find_unpaired
from tandem.inference.translator import Translator
from tandem.rng import derive_seed


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

    Every input gets codes of its own, so that all samples together are independent draws.
    """
    preprocessing = translator.manifest.preprocessing
    folder = find_unpaired(info.root)[split]  # reads any layout: the truth is not needed
    inputs = folder.a if preprocessing.direction == "AtoB" else folder.b
    modes = np.empty((len(inputs), num_samples), dtype=np.int64)
    for index, single in enumerate(inputs):
        image = read_single(single, channels=preprocessing.input_channels)
        z = translator.sample_z(num_samples, seed=derive_seed(seed, "coverage", position=index))
        outputs = translator(image, z=z, output="array")
        mask = info.mask(split, single.name)
        modes[index] = [classify_mode(output, mask) for output in outputs]
        if on_progress is not None:
            on_progress(index + 1, len(inputs))
    return MeasuredCoverage(coverage(modes), modes)
