"""From what was measured of each image to what there is to mend."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from tandem.data.examine.alignment import Alignment
from tandem.data.examine.duplicates import groups_of_equals, near_groups
from tandem.data.examine.finding import Finding
from tandem.data.examine.images import ImageFacts, ItemFacts
from tandem.data.listing import count

FIRM_PEAK = 12.0
"""Standard deviations of a peak of the phase correlation that is no accident."""
STANDS_OUT = 1.5
"""How many times higher it must be than at the place of no shift."""
LEAST_SHIFT = 2 / 64
"""Of a side: one pixel of the outlines is rounding."""
FLIPPED_BY = 0.15
"""How much better the outlines of a flipped image must fit, as a correlation."""
FLIPPED_FITS = 0.3
"""How well they must fit then."""
TELLS_APART = 0.95
"""Share of all other pairs in which A looks like the other A, and B like the other B, for some to be exchanged."""
FEW_PAIRS = 8


def findings_of(items: Sequence[ItemFacts]) -> list[Finding]:
    """Everything that is remarkable about a dataset."""
    images = [image for item in items for image in item.images]
    pairs = [item for item in items if len(item.images) == 2]
    return [
        *_unreadable(items),
        *_sizes(pairs),
        *_shifted(pairs),
        *_flipped(pairs),
        *_exchanged(pairs),
        *_constant(images),
        *_kinds(images),
        *_doubles(images),
        *_empty(images),
        *_masked(items),
    ]


def _unreadable(items: Sequence[ItemFacts]) -> Iterator[Finding]:
    wrong = [item.problem for item in items if item.problem is not None]
    if wrong:
        text = f"{len(wrong)} of {len(items)} pairs or images cannot be read."
        yield Finding("unreadable", "warning", text, "Repair or remove these files.", wrong)


def _empty(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    some = sorted((image for image in images if image.empty), key=lambda image: -image.empty)
    if some:
        share = 100 * sum(image.empty * image.width * image.height for image in some)
        share /= sum(image.width * image.height for image in images)
        text = f"In {len(some)} of {count(len(images), 'image')} pixels hold nothing, {share:.2g} % of all."
        advice = "--mask nodata keeps them out of losses, statistics and metrics."
        yield Finding("nodata", "info", text, advice, [f"{one.place}: {100 * one.empty:.2g} %" for one in some])


def _masked(items: Sequence[ItemFacts]) -> Iterator[Finding]:
    masks = [item for item in items if item.masked is not None]
    if masks:
        shares = [100 * (item.masked or 0) for item in masks]
        text = f"{count(len(masks), 'mask')} leave out {sum(shares) / len(shares):.2g} % of their pixels on average."
        wrong = [f"{item.place}: all pixels" for item in masks if item.masked == 1]
        weight, advice = ("warning", "Remove what has no valid pixel.") if wrong else ("info", "")
        yield Finding("masks", weight, text, advice, wrong)


def _sizes(pairs: Sequence[ItemFacts]) -> Iterator[Finding]:
    wrong = []
    for pair in pairs:
        a, b = pair.images
        if (a.width, a.height) != (b.width, b.height):
            wrong.append(f"{pair.place}: A is {a.width} x {a.height}, B {b.width} x {b.height}")
    if wrong:
        text = f"In {count(len(wrong), 'pair')} A and B differ in size."
        yield Finding("mismatched-sizes", "warning", text, "Resize one of them; training refuses these pairs.", wrong)


def _shifted(pairs: Sequence[ItemFacts]) -> Iterator[Finding]:
    wrong = []
    for pair in pairs:
        found = pair.alignment
        if found is None or found.peak < FIRM_PEAK or found.peak < STANDS_OUT * found.at_zero or _is_flipped(found):
            continue
        a, _ = pair.images
        if max(abs(found.right) / a.width, abs(found.down) / a.height) >= LEAST_SHIFT:
            wrong.append(f"{pair.place}: B lies about {found.right:+.0f} px to the right, {found.down:+.0f} px down")
    if wrong:
        text = f"In {len(wrong)} of {count(len(pairs), 'pair')} B looks shifted against A."
        advice = "Shift these files back, or train with a --size at which the shift is less than a pixel."
        yield Finding("shifted-pairs", "warning", text, advice, wrong)


def _flipped(pairs: Sequence[ItemFacts]) -> Iterator[Finding]:
    wrong = []
    for pair in pairs:
        found = pair.alignment
        if found is not None and _is_flipped(found):
            way = "left and right" if found.flipped > found.upside_down else "top and bottom"
            wrong.append(f"{pair.place}: {way} are exchanged in A or B")
    if wrong:
        text = f"In {len(wrong)} of {count(len(pairs), 'pair')} one image looks flipped."
        yield Finding("flipped-pairs", "warning", text, "Flip one of the two files back.", wrong)


def _is_flipped(found: Alignment) -> bool:
    best = max(found.flipped, found.upside_down)
    return best >= FLIPPED_FITS and best - found.straight >= FLIPPED_BY


def _exchanged(pairs: Sequence[ItemFacts]) -> Iterator[Finding]:
    """Pairs whose A looks like the B of all others, and whose B like their A."""
    if len(pairs) < FEW_PAIRS:
        return
    looks = np.array([[image.looks for image in pair.images] for pair in pairs])  # (pairs, 2, numbers)
    looks = looks / (looks.std(axis=(0, 1)) + 1e-6)
    centre = np.median(looks, axis=0)
    straight = np.square(looks - centre).sum(axis=(1, 2))
    exchanged = np.square(looks - centre[::-1]).sum(axis=(1, 2))
    is_wrong = exchanged < 0.5 * straight
    if is_wrong.any() and (straight < exchanged)[~is_wrong].sum() >= TELLS_APART * max(1, (~is_wrong).sum()):
        wrong = [pair.place for pair, odd in zip(pairs, is_wrong, strict=True) if odd]
        text = f"In {len(wrong)} of {count(len(pairs), 'pair')} A and B look exchanged: A looks as B does elsewhere."
        yield Finding("exchanged-pairs", "warning", text, "Look at them, and exchange their files.", wrong)


def _constant(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    wrong = [f"{image.place}: {image.low:g} everywhere" for image in images if image.is_constant]
    if wrong:
        text = f"{count(len(wrong), 'image')} of {len(images)} {'has' if len(wrong) == 1 else 'have'} one colour."
        yield Finding("constant-images", "warning", text, "Remove these pairs unless they mean something.", wrong)


def _kinds(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    for side in ("a", "b"):
        kinds = Counter(f"{one.kind}, {one.channels} channels" for one in images if one.side == side)
        if len({kind.split(" ")[0] + kind.rpartition(",")[2] for kind in kinds}) > 1:
            shown = [f"{number} x {kind}" for kind, number in kinds.most_common()]
            text = f"The files of {side.upper()} are of several kinds."
            advice = "Training brings them to one number of channels; save them alike if their values mean something."
            yield Finding("mixed-kinds", "info", text, advice, shown)


def _doubles(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    for side in ("a", "b"):
        own = [image for image in images if image.side == side and not image.is_constant]
        equal = groups_of_equals(own)
        near = near_groups(own)
        yield from _across(own, near, side)
        within = [group for group in equal if len({own[index].split for index in group}) == 1]
        if within:
            number = sum(len(group) - 1 for group in within)
            text = f"{count(number, 'image')} of {side.upper()} {'is' if number == 1 else 'are'} there more than once."
            advice = "They count more than others; remove them unless that is meant."
            shown = [" = ".join(own[index].place for index in group[:4]) for group in within]
            yield Finding("duplicates", "info", text, advice, shown)


def _across(own: Sequence[ImageFacts], near: Sequence[Sequence[int]], side: str) -> Iterator[Finding]:
    """Images that are in training and held out too, the same or nearly so."""
    wrong = []
    for group in near:
        by_split: dict[str, list[int]] = defaultdict(list)
        for index in group:
            by_split[own[index].split].append(index)
        if len(by_split) > 1:
            wrong.append(" ~ ".join(own[indices[0]].place for indices in by_split.values()))
    if wrong:
        text = (
            f"{count(len(wrong), 'picture')} of {side.upper()} {'is' if len(wrong) == 1 else 'are'} in several splits, "
            "the same or nearly so: numbers of held-out images are too good."
        )
        yield Finding(
            "leaks", "warning", text, "Split anew with 'tandem data split', which keeps them together.", wrong
        )
