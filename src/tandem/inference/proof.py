"""How far an exported network is from PyTorch's: measured on the file itself, before it gets its name.

The trained size, another multiple of what the network takes, a picture that is not square, three images at once, blank
canvases and one that is nearly constant, whose norms divide by almost nothing; each with other latents. Runtimes are
known to remove or freeze parts of a network in silence, so two latents must also give two pictures.

On a blank canvas a network has nearly constant maps, whose rounding errors every norm multiplies by up to 300, and
PyTorch's own picture is another one when the last bit of the input changes, or when it computes in float64. Where that
is as much as the file is off, the case decides nothing, which is said, and left out of the numbers.
"""

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, PairEncoderSpec
from tandem.errors import BundleError
from tandem.inference.engine import Engine
from tandem.inference.memory import forward_bytes
from tandem.prior.distributions import NormalPrior, Prior

TOLERANCE = 1e-4
"""The largest deviation that is allowed of weights that are stored in full, of values in [-1, 1]; of an encoder times
its largest value, if above 1."""
MEAN_TOLERANCES: dict[Storage, float] = {"fp32": 1e-5, "fp16": 4e-4, "int8": 8e-3}
"""The mean deviation that is allowed, likewise; one level of 255 for 8 bits.

What rounded weights do to single pixels is a matter of the network: on canvases of one colour, the like of which the
demo's model has never seen, it is off by 0.1 where its drawings are off by 0.005. So the operators are proven with the
weights in full, and of rounded ones the mean counts.
"""
MAX_BYTES = 2**29
"""Maps of a proof: a network that was trained with larger images is proven with smaller ones."""
BATCH = 3
MOST_TIMES = 10
"""How many times PyTorch's own change a deviation may be, to say nothing of the file."""
MOST_TIMES_FLAT = 100
"""The same of canvases of one colour, or nearly.

There ONNX Runtime rounds farther than PyTorch: with 24 latents a model of the demo was off by up to 0.002, a quarter of
a level of 255, and by up to 32 times PyTorch's own change.
"""
FLAT = 0.01
"""The range of values of such canvases, at most."""

_ADVICE: dict[Storage, str] = {
    "fp32": "This is a fault of Tandem or of this version of ONNX Runtime: please report it.",
    "fp16": "Weights that are stored in full (--weights fp32) deviate less.",
    "int8": "Weights that are stored more exactly (--weights fp16 or fp32) deviate less.",
}

log = logging.getLogger(__name__)


@dataclass
class Proof:
    """What was measured.

    Attributes:
        tolerance: The largest deviation that is allowed; infinite of rounded weights.
        mean_tolerance: The mean deviation that is allowed.
        cases: How many batches were compared.
        largest: The largest deviation.
        largest_case: Where.
        scale: What the tolerances are multiplied by.
        undecided: Cases in which PyTorch's own output is as far away when the last bit of its input changes, or in
            float64.
        apart: How far two samples of an input are from each other at most, in PyTorch and in the file.
    """

    tolerance: float
    mean_tolerance: float
    cases: int = 0
    largest: float = 0.0
    largest_case: str = ""
    scale: float = 1.0
    undecided: list[str] = field(default_factory=list)
    apart: tuple[float, float] | None = None
    _sum: float = field(default=0.0, repr=False)
    _values: int = field(default=0, repr=False)

    @property
    def mean(self) -> float:
        """The mean deviation of all values."""
        return self._sum / max(1, self._values)

    def add(self, case: str, given: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
        """Take the deviation of what the file gives from what PyTorch gives into account."""
        self.cases += 1
        worst = farthest(given, expected)
        if worst > self.largest or not self.largest_case:
            self.largest, self.largest_case = worst, case
        self._sum += sum(float(np.abs(one.astype(np.float64) - other).sum()) for one, other in _pairs(given, expected))
        self._values += sum(one.size for one in given)

    def as_json(self) -> dict[str, Any]:
        """For the metadata: rounded up to 1, 2 or 5 times a power of ten, since the last digits are a machine's."""
        return {
            "against": "PyTorch, float32",
            "cases": self.cases,
            "largest_at_most": rounded_up(self.largest),
            "mean_at_most": rounded_up(self.mean),
            "tolerance": self.tolerance if math.isfinite(self.tolerance) else None,
            "mean_tolerance": self.mean_tolerance,
            "undecided": self.undecided,
        }


def prove(
    name: str,
    spec: GeneratorSpec | ImageEncoderSpec,
    engine: Engine,
    reference: Engine,
    exact: Engine,
    *,
    storage: Storage,
    size: tuple[int, int],
    prior: Prior | None = None,
    has_noise: bool = False,
) -> Proof:
    """Compare a network of two engines.

    Args:
        name: The network's.
        spec: Its specification.
        engine: That runs the file.
        reference: That runs the network itself.
        exact: That runs it in float64.
        storage: How the file's weights are stored, which says what is allowed.
        size: That it was trained with, height and width.
        prior: What latents are drawn from.
        has_noise: Whether dropout makes outputs differ, by a seed.

    Raises:
        BundleError: They differ by more than is allowed, or the file takes no notice of its latent or its dropout.
    """
    proof = Proof(TOLERANCE if storage == "fp32" else math.inf, MEAN_TOLERANCES[storage])
    latent_dim = spec.latent_dim if isinstance(spec, GeneratorSpec) else 0
    drawn = (prior or NormalPrior(latent_dim)).sample(BATCH * 8, seed=0)
    seeds = (1, 2) if has_noise else (None, None)
    for index, (case, images) in enumerate(_cases(spec, size)):
        z = drawn[np.arange(index, index + len(images)) % len(drawn)]
        for told, arguments in _arguments(case, spec, images, z):
            given, expected = (_computed(one, name, spec, arguments, seeds[0]) for one in (engine, reference))
            if isinstance(spec, ImageEncoderSpec):
                proof.scale = max(proof.scale, *(float(np.abs(one).max()) for one in expected))
            deviation = farthest(given, expected)
            if deviation > proof.tolerance * proof.scale:
                nudged = (_nudged(arguments[0]), *arguments[1:])
                # Dropout draws other numbers in float64.
                changes = [(reference, nudged), *([] if has_noise else [(exact, arguments)])]
                own = max(
                    farthest(_computed(other, name, spec, changed, seeds[0]), expected) for other, changed in changes
                )
                if deviation <= own * (MOST_TIMES_FLAT if np.ptp(images) <= FLAT else MOST_TIMES):
                    proof.undecided.append(told)
                    log.info(
                        "%s, %s: undecided: it differs by %.2g, PyTorch itself by %.2g when a last bit changes or in "
                        "float64",
                        name,
                        told,
                        deviation,
                        own,
                    )
                    continue
            proof.add(told, given, expected)
    if latent_dim or has_noise:
        _, images = next(_cases(spec, size))
        pairs = list(zip(drawn[:2].astype(np.float32), seeds, strict=True))
        found = [[one.generate(name, images, z[None], seed) for z, seed in pairs] for one in (reference, engine)]
        proof.apart = (_apart(found[0]), _apart(found[1]))
    _judge(name, proof, storage)
    return proof


def _judge(name: str, proof: Proof, storage: Storage) -> None:
    for given, most, where in (
        (proof.largest, proof.tolerance * proof.scale, f" ({proof.largest_case})"),
        (proof.mean, proof.mean_tolerance * proof.scale, " on average"),
    ):
        if not given <= most:
            raise BundleError(
                f"the exported {name} differs from PyTorch by {given:.2g}{where}, more than the {most:.2g} that are "
                f"allowed, so nothing was written. {_ADVICE[storage]}"
            )
    if proof.apart is None:
        return
    expected, found = proof.apart
    allowed = 10 * proof.mean_tolerance
    if expected > 2 * allowed and found < expected / 2:
        raise BundleError(
            f"the exported {name} takes no notice of its latent or its dropout: two samples differ by {found:.2g} "
            f"where PyTorch's differ by {expected:.2g}, so nothing was written."
        )
    if expected <= 2 * allowed:
        log.warning("%s: two samples are (nearly) the same picture, in PyTorch as well", name)


def _cases(spec: GeneratorSpec | ImageEncoderSpec, size: tuple[int, int]) -> Iterator[tuple[str, np.ndarray]]:
    """What is compared, with a name each; the first is a single image of the trained size."""
    height, width = proven_size(spec, size)
    step = spec.size_multiple if spec.size_multiple > 1 else 5
    smaller = [side - step if side - step >= spec.smallest_side else side + step for side in (height, width)]
    random = np.random.default_rng(0)

    def noise(n: int, h: int, w: int) -> np.ndarray:
        return random.uniform(-1, 1, (n, spec.in_channels, h, w)).astype(np.float32)

    yield f"{width}×{height} px", noise(1, height, width)
    yield f"{BATCH} of {width}×{height} px", noise(BATCH, height, width)
    yield f"{smaller[1]}×{smaller[0]} px", noise(1, smaller[0], smaller[1])
    yield f"{width + step}×{height} px", noise(1, height, width + step)
    yield "a blank canvas", np.ones((1, spec.in_channels, height, width), np.float32)
    yield "a black canvas", -np.ones((1, spec.in_channels, height, width), np.float32)
    yield "a nearly constant canvas", np.float32(0.9) + np.float32(1e-3) * noise(1, height, width)


def _arguments(
    case: str, spec: GeneratorSpec | ImageEncoderSpec, images: np.ndarray, z: np.ndarray
) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """With and without the input, of encoders that see it."""
    if isinstance(spec, GeneratorSpec):
        yield case, (images, z.astype(np.float32))
        return
    yield case, (images,)
    if isinstance(spec, PairEncoderSpec) and spec.input_channels:
        n, _, height, width = images.shape
        inputs = np.random.default_rng(1).uniform(-1, 1, (n, spec.input_channels, height, width)).astype(np.float32)
        yield f"{case} beside its input", (images, inputs)


def proven_size(spec: GeneratorSpec | ImageEncoderSpec, size: tuple[int, int]) -> tuple[int, int]:
    """The size that stands for the trained one: one that the network takes, and that needs no more than `MAX_BYTES`."""
    multiple, smallest = spec.size_multiple, spec.smallest_side
    height, width = (max(smallest, math.ceil(side / multiple) * multiple) for side in size)
    maps = spec if isinstance(spec, GeneratorSpec) else None
    for shrink in itertools.count(1):
        sides = [max(smallest, side // shrink // multiple * multiple) for side in (height, width)]
        pixels = 4 * sides[0] * sides[1] * (spec.filters + spec.in_channels)
        needed = BATCH * (pixels if maps is None else forward_bytes(maps, *sides))
        if needed <= MAX_BYTES or sides == [smallest, smallest]:
            return sides[0], sides[1]
    raise AssertionError


def farthest(given: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest deviation; infinite where one is no number."""
    largest = max(float(np.abs(one.astype(np.float64) - other).max()) for one, other in _pairs(given, expected))
    return largest if math.isfinite(largest) else math.inf


def _pairs(given: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return zip(given, expected, strict=True)


def _computed(
    engine: Engine,
    name: str,
    spec: GeneratorSpec | ImageEncoderSpec,
    arguments: Sequence[np.ndarray],
    seed: int | None,
) -> Sequence[np.ndarray]:
    if isinstance(spec, GeneratorSpec):
        return [engine.generate(name, arguments[0], arguments[1], seed)]
    return engine.encode(*arguments)


def _nudged(images: np.ndarray) -> np.ndarray:
    """Every second pixel or so changed in its last bit, towards 0."""
    chosen = np.random.default_rng(2).random(images.shape) < 0.5
    return np.where(chosen, np.nextafter(images, np.float32(0)), images)


def _apart(outputs: Sequence[np.ndarray]) -> float:
    return float(np.abs(outputs[0] - outputs[1]).max())


def rounded_up(value: float) -> float:
    """The next of 1, 2 and 5 times a power of ten; 0 stays 0."""
    if not value:
        return 0.0
    exponent = math.floor(math.log10(value))
    steps = [float(f"{step}e{exponent}") for step in (1, 2, 5, 10)]
    return next(step for step in steps if step >= value * (1 - 1e-9))
