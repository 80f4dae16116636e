"""Signs of what went wrong in a run: in its log, and in what its model makes of held-out images."""

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from tandem.config.run import RunConfig
from tandem.data.examine.finding import Finding
from tandem.report.records import HealthRecord, LatentHealth, Record, TrainRecord
from tandem.training.feed import HINT_FROM
from tandem.training.health import IGNORED_BELOW

WON_BELOW = {"lsgan": 0.05, "bce": 0.1, "hinge": 0.1}
"""Sums of the terms of a discriminator, real and fake, that it has only where it is never wrong; a guess costs 0.5,
1.39 and 2 for each of its scales."""
INVERTED_BELOW = -0.3
"""Correlation of outputs with their ground truths, over the pixels."""
PERIODS = (2, 4, 8)
"""Of a grid that upsampling leaves, in pixels."""
GRID_ABOVE = 4.0
"""How many times stronger a frequency must be than its neighbours."""
BESIDE_REAL = 2.0
"""And how many times more so than in real images."""
FEW_SCORES = 3


def signs_in_log(records: Sequence[Record], config: RunConfig) -> Iterator[Finding]:
    """What the log says: is z ignored, has a discriminator won, does the loader keep steps waiting."""
    yield from _ignored(records, config)
    yield from _won(records, config)
    waiting = [one.speed.waiting for one in _last(records) if one.speed.waiting is not None]
    if waiting and median(waiting) > HINT_FROM:
        text = f"The steps wait for data {100 * median(waiting):.0f} % of the time."
        advice = "Raise --num-workers, or --decoded-gb so that the images stay decoded; smaller files help too."
        yield Finding("loader-waits", "warning", text, advice)


def _ignored(records: Sequence[Record], config: RunConfig) -> Iterator[Finding]:
    health = [one.measured for one in records if isinstance(one, HealthRecord)]
    latest = health[-1] if health else None
    if not config.objective.latent_dim or not isinstance(latest, LatentHealth):
        return
    if latest.diversity_ratio < IGNORED_BELOW:
        text = (
            f"z is ignored: samples of one input differ by {latest.diversity_ratio:.3f} of what real images differ by, "
            f"less than {IGNORED_BELOW:g}."
        )
        advice = _with(
            config,
            lambda_z="Raise --lambda-z, which has z read back from the output.",
            lambda_ms="--lambda-ms 1 rewards samples that differ.",
            lambda_kl="A lower --lambda-kl lets the encoder say more.",
        )
        yield Finding("z-ignored", "warning", text, advice)


def _won(records: Sequence[Record], config: RunConfig) -> Iterator[Finding]:
    limit = WON_BELOW.get(getattr(config.objective, "gan_loss", ""))
    if limit is None:
        return
    last = _last(records)
    names = sorted({name for one in last for name in one.losses if name.startswith("disc")})
    groups = {name.removesuffix("_real").removesuffix("_fake") for name in names}
    for group in sorted(groups):
        own = [name for name in names if name in (group, f"{group}_real", f"{group}_fake")]
        sums = [sum(one.losses[name] for name in own) for one in last if all(name in one.losses for name in own)]
        if sums and median(sums) < limit:
            text = f"A discriminator has won: {group} is {median(sums):.2g}, so that it is hardly ever wrong."
            advice = "Its gradient says little then. " + _with(
                config,
                diffaugment="--diffaugment color,translation,cutout makes its task harder.",
                discriminator_filters="A smaller --discriminator-filters makes it weaker.",
            )
            yield Finding("discriminator-won", "warning", text, advice, [group])


def _with(config: RunConfig, **advice: str) -> str:
    """The advice on options that the method has."""
    return " ".join(text for name, text in advice.items() if hasattr(config.objective, name))


def _last(records: Sequence[Record]) -> list[TrainRecord]:
    """The lines of training in the last quarter of the run."""
    own = [one for one in records if isinstance(one, TrainRecord)]
    return own[-max(1, len(own) // 4) :]


def first_is_best(best: int | None, measured: Sequence[int]) -> Iterator[Finding]:
    """Whether the best checkpoint is the first one that was measured.

    Args:
        best: Its step, if there is one.
        measured: The steps at which the number that decides was measured.
    """
    if best is not None and len(measured) >= FEW_SCORES and best == min(measured):
        text = f"The best checkpoint is the first of {len(measured)} that were measured, of step {best}."
        advice = (
            "Nothing since was better: lower --learning-rate, or decide by another number with --validate-every and "
            "--keep-best."
        )
        yield Finding("best-is-first", "warning", text, advice, [f"step {best}"])


def signs_in_pictures(
    outputs: Sequence[np.ndarray], truths: Sequence[np.ndarray], config: RunConfig
) -> Iterator[Finding]:
    """What outputs show: colours inverted, a grid.

    Args:
        outputs: Each ``(H, W, C)``, on any scale.
        truths: Their ground truths; without pairs, real images of the output domain.
        config: The options of the run.
    """
    together = list(zip(outputs, truths, strict=True)) if config.objective.paired else []
    if together:
        x, y = (np.concatenate([np.asarray(pair[side], np.float64).ravel() for pair in together]) for side in (0, 1))
        alike = float(np.corrcoef(x, y)[0, 1]) if x.std() and y.std() else 0.0
        if alike < INVERTED_BELOW:
            text = f"Colours are inverted: outputs and their ground truths correlate by {alike:.2f}."
            advice = (
                "Look at 'tandem data preview' for files whose black and white are exchanged; --range-a and --range-b "
                "say which values these are."
            )
            yield Finding("colours-inverted", "warning", text, advice)
    for period in PERIODS:
        found, real = grid_strength(outputs, period), grid_strength(truths, period)
        if found is not None and found > GRID_ABOVE and found > BESIDE_REAL * (real or 1.0):
            text = (
                f"Outputs have a grid of {period} px: that frequency is {found:.1f} times as strong as its neighbours, "
                f"in real images {real or 1.0:.1f} times."
            )
            advice = _with(config, upsampling="--upsampling bilinear leaves none.") + " In early steps such grids fade."
            yield Finding("checkerboard", "warning", text, advice, [f"{period} px"])


def grid_strength(images: Sequence[np.ndarray], period: int) -> float | None:
    """How strong a grid of a period is in images ``(H, W, C)``: amplitude beside that of its neighbours.

    Of the mean amplitude of all images that of the frequency across, and of that down, divided by the median of the
    frequencies around it; the larger of the two. None without images that are large enough.
    """
    lines: list[list[np.ndarray]] = [[], []]
    for image in images:
        grey = np.asarray(image, np.float64).mean(axis=2)
        for axis, length in enumerate(side // (8 * period) * 8 * period for side in grey.shape):
            if length:
                along = np.moveaxis(grey, axis, 1)[:, :length]
                spectrum = np.abs(np.fft.rfft((along - along.mean()) * np.hanning(length), axis=1))
                lines[axis].append(spectrum.mean(axis=0))
    ratios = []
    for found in lines:
        for length in {len(line) for line in found}:
            mean = np.mean([line for line in found if len(line) == length], axis=0)
            at = 2 * (length - 1) // period
            near = [mean[other] for other in range(at - 5, at + 6) if abs(other - at) > 2 and 0 < other < length]
            ratios.append(float(mean[at] / (np.median(near) + 1e-12)))
    return max(ratios, default=None)
