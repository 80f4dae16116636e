"""What a run measures and shows of its fixed inputs at every snapshot, whatever its method.

The networks' names say what there is to measure: ``gen_ab`` and ``gen_ba`` translate both ways, so that the cycle's
errors are known without pairs; ``generator`` translates one way, with pairs against the ground truth, and with a latent
or dropout into many outputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tandem.networks.layers import resume_training, sample_as_in_training
from tandem.report.records import LatentHealth, Level, TranslationHealth
from tandem.training.health import Sampling, beside_real, measure_health

SAMES_BELOW = 0.01
"""A mean change, images in [-1, 1], under which a translation leaves its input as it is."""


@dataclass(frozen=True)
class SnapshotMeasurement:
    """One measurement.

    Attributes:
        health: The numbers and a verdict in words, for the log.
        columns: Of the picture: titles and images ``(N, C, H, W)`` in [-1, 1], one row an input.
    """

    health: LatentHealth | TranslationHealth
    columns: Mapping[str, Tensor]


def numbers_of(health: LatentHealth | TranslationHealth) -> dict[str, float | None]:
    """The numbers that the best checkpoint may be chosen by; None where one is not known.

    ``fixed_l1`` of pairs, or ``cycle`` with a way back, the mean of both domains; ``contrast`` and ``detail``.
    """
    looks = {"contrast": health.contrast, "detail": health.detail}
    if isinstance(health, LatentHealth):
        return {"fixed_l1": health.fixed_l1} | looks
    if health.cycle_a is None or health.cycle_b is None:
        return looks
    return {"cycle": 0.5 * (health.cycle_a + health.cycle_b)} | looks


def domain_of(title: str) -> Literal["a", "b"]:
    """To which domain of the model the images of a column of the picture belong, by the column's title."""
    return "a" if title in {"input", "A", "back to A", "B to A"} else "b"


@contextmanager
def sampling_state(networks: nn.ModuleDict, names: tuple[str, ...], *, noise: bool) -> Iterator[None]:
    """Put the named networks into the state in which models sample, and back into that of training."""
    before = {name: networks[name].training for name in names}
    for name in names:
        if noise:
            sample_as_in_training(networks[name])
        else:
            networks[name].eval()
    try:
        yield
    finally:
        for name, training in before.items():
            resume_training(networks[name])
            networks[name].train(training)


@torch.no_grad()
def measure(networks: nn.ModuleDict, a: Tensor, b: Tensor, *, sampling: Sampling, paired: bool) -> SnapshotMeasurement:
    """Measure on fixed inputs.

    Args:
        networks: By name, in the state of sampling; see the file's head.
        a: Fixed images of domain A, ``(N, C, H, W)``, [-1, 1].
        b: Of domain B; the ground truths of `a` if `paired`.
        sampling: The fixed latents and seeds of the samples.
        paired: Whether `b` holds the ground truths of `a`.
    """
    if "gen_ab" in networks:
        return _both_ways(networks, a, b)
    generator = networks["generator"]
    if not paired:
        return _one_way(generator, a, b)
    encoder = networks["encoder"] if "encoder" in networks else None  # noqa: SIM401  (a ModuleDict has no get)
    health, samples, reconstructed = measure_health(generator, encoder, a, b, sampling=sampling)
    columns = {"input": a, "ground truth": b} | ({"encoded": reconstructed} if encoder is not None else {})
    many = samples.shape[1] > 1
    title = "z" if sampling.z.shape[1] else "sample "
    columns |= {f"{title}{index + 1}" if many else "output": one for index, one in enumerate(samples.unbind(1))}
    return SnapshotMeasurement(health, columns)


def caption_of(networks: nn.ModuleDict, *, sampling: Sampling, paired: bool) -> str:
    """What the rows and columns of the pictures are; the arguments are those of `measure`."""
    if "gen_ab" in networks:
        return "Each row is an image of A with its translation and the way back, then an image of B likewise."
    if not paired:
        return "Each row is an image of A with its translation, then an image of B and what the generator makes of it."
    made = "the ground truth encoded and decoded again, " if "encoder" in networks else ""
    noise = "samples with dropout" if sampling.seeds is not None else "the output"
    outputs = "samples of random latents" if sampling.z.shape[1] else noise
    return f"Each row is one input: the input, the ground truth, {made}{outputs}."


def _both_ways(networks: nn.ModuleDict, a: Tensor, b: Tensor) -> SnapshotMeasurement:
    gen_ab, gen_ba = networks["gen_ab"], networks["gen_ba"]
    fake_b, fake_a = _one_by_one(gen_ab, a), _one_by_one(gen_ba, b)
    rec_a, rec_b = _one_by_one(gen_ba, fake_b), _one_by_one(gen_ab, fake_a)
    cycle_a, cycle_b = _distance(rec_a, a), _distance(rec_b, b)
    changes = [_change(fake_b, a), _change(fake_a, b)]
    verdict = f"There and back, A comes out {cycle_a:.3f} from where it started and B {cycle_b:.3f} (L1, at most 2)."
    columns = {"A": a, "A to B": fake_b, "back to A": rec_a, "B": b, "B to A": fake_a, "back to B": rec_b}
    health = TranslationHealth(
        cycle_a=cycle_a,
        cycle_b=cycle_b,
        change_a=changes[0],
        change_b=changes[1],
        verdict=verdict + _warning(changes),
        level=_level(changes),
        **_smaller(beside_real(fake_b, b), beside_real(fake_a, a)),
    )
    return SnapshotMeasurement(health, columns)


def _one_way(generator: nn.Module, a: Tensor, b: Tensor) -> SnapshotMeasurement:
    fake_b = _one_by_one(generator, a)
    change = _change(fake_b, a)
    identity: float | None = None
    columns = {"A": a, "A to B": fake_b}
    verdict = "There are no pairs and no way back, so no number says how good the translation is: look at it."
    if a.shape[1] == b.shape[1]:
        kept = _one_by_one(generator, b)
        identity = _distance(kept, b)
        columns |= {"B": b, "B to B": kept}
    health = TranslationHealth(
        change_a=change,
        identity_b=identity,
        verdict=verdict + _warning([change]),
        level=_level([change]),
        **beside_real(fake_b, b),
    )
    return SnapshotMeasurement(health, columns)


def _smaller(first: Mapping[str, float | None], second: Mapping[str, float | None]) -> dict[str, float | None]:
    both = {name: [one for one in (first[name], second[name]) if one is not None] for name in first}
    return {name: min(known, default=None) for name, known in both.items()}


def _level(changes: Sequence[float | None]) -> Level:
    return "warning" if any(change is not None and change < SAMES_BELOW for change in changes) else "info"


def _warning(changes: Sequence[float | None]) -> str:
    if _level(changes) == "info":
        return ""
    return " A translation leaves its input nearly as it is; early in training that is normal."


def _one_by_one(generator: nn.Module, images: Tensor) -> Tensor:
    """Translate as inference does: a picture must not depend on its neighbours, and memory stays small."""
    return torch.cat([generator(image) for image in images.split(1)])


def _distance(made: Tensor, true: Tensor) -> float:
    return (made - true).abs().mean().item()


def _change(made: Tensor, source: Tensor) -> float | None:
    return _distance(made, source) if made.shape == source.shape else None
