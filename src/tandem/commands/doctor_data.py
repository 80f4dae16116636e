"""What `tandem doctor` says of a dataset: what is in it, what is wrong with it, what training makes of its sizes."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tandem.config.data import DataConfig
from tandem.config.run import RunConfig
from tandem.data.check_remarks import FEW_LEVELS
from tandem.data.examine.finding import Finding
from tandem.data.examine.images import ImageFacts, ItemFacts, examine
from tandem.data.examine.verdict import findings_of
from tandem.data.fit import OFF_SCALE, FitRule
from tandem.data.levels import BY_TYPE, Levels, levels_of_classes
from tandem.data.listing import count
from tandem.data.shards.open import as_location, is_shards
from tandem.data.splits import Split
from tandem.data.unpaired import looks_unpaired
from tandem.report.findings_page import Row, Section
from tandem.report.progress import TaskProgress
from tandem.report.text import duration, memory, number

Found = tuple[Sequence[Finding], Sequence[Section], Sequence[tuple[str, str, str]], Mapping[str, Any]]

ROUNDS = 3
"""Training steps that count where they are measured."""

log = logging.getLogger(__name__)


def look_at_data(data: str, data_b: Path | None, config: RunConfig, *, cache: Path, measure: bool) -> Found:
    """Look at a dataset: findings, sections, tiles and numbers.

    Raises:
        DataError: No dataset is found there.
    """
    splits = _find(data, data_b, config, cache=cache)
    for split in splits.values():
        log.info("%s", split.describe())
    with TaskProgress("looking", None, "images") as progress:
        levels = levels_of_files(config.data)
        items = examine(list(splits.values()), progress.callback, levels=levels)
    images = [image for item in items for image in item.images]
    findings = [*findings_of(items), *sizes_of(images, config), *labels_of(images, levels)]
    findings.sort(key=lambda one: one.weight != "warning")
    sections = [_splits_section(items), _images_section(images)]
    stats = [
        ("Pairs or images", f"{len(items):,}", ", ".join(f"{name} {len(one)}" for name, one in splits.items())),
        ("To mend", str(sum(one.weight == "warning" for one in findings)), ""),
        ("To know", str(sum(one.weight == "info" for one in findings)), ""),
    ]
    numbers: dict[str, Any] = {"splits": {name: len(split) for name, split in splits.items()}}
    if measure:
        numbers["training"] = cost = cost_of(config, len(next(iter(splits.values()))))
        stats += _cost_tiles(cost)
    return findings, sections, stats, numbers


def _find(data: str, data_b: Path | None, config: RunConfig, *, cache: Path) -> Mapping[str, Split]:
    from tandem.training.inputs import find_run_data  # noqa: PLC0415  (imports torch)

    place = as_location(data)
    paired = config.objective.paired and not (
        data_b is None and isinstance(place, Path) and not is_shards(place) and looks_unpaired(place)
    )
    return find_run_data(config, place, data_b, cache=cache, paired=paired)


def sizes_of(images: Sequence[ImageFacts], config: RunConfig) -> Iterator[Finding]:
    """What training and the trained model do to the sizes of images."""
    data, rule = config.data, FitRule.of(config.data)
    sizes = Counter((image.height, image.width) for image in images)
    multiple = config.objective.size_multiple(data)
    padded, stretched, enlarged = Counter[str](), Counter[str](), Counter[str]()
    for (height, width), often in sizes.items():
        plan = rule.plan(height, width, "auto", multiple=multiple)
        if plan.padded != plan.target:
            padded[f"{width} x {height} px become {plan.padded[1]} x {plan.padded[0]} px"] += often
        if data.resize_size is not None:
            rows, columns = data.resize_size
            stretch = (columns / rows) / (width / height)
            if max(stretch, 1 / stretch) >= OFF_SCALE:
                way = "wider" if stretch > 1 else "narrower"
                stretched[f"{width} x {height} px become {max(stretch, 1 / stretch):.2g} times {way}"] += often
            if min(rows / height, columns / width) >= OFF_SCALE:
                enlarged[f"{width} x {height} px are enlarged to {columns} x {rows} px"] += often
    yield from _of_sizes(
        padded,
        "padding",
        f"are padded when they meet the model, which takes multiples of {multiple} px",
        "",
        len(images),
    )
    advice = "--preprocess scale_width_and_crop keeps the aspect, or cut the images to one shape."
    yield from _of_sizes(stretched, "stretched", "change their shape when they are resized", advice, len(images))
    advice = "A smaller --size trains faster and shows as much."
    yield from _of_sizes(enlarged, "enlarged", "are smaller than the size of training", advice, len(images))


def levels_of_files(data: DataConfig) -> tuple[Levels, Levels]:
    """Those of the files' A and B: of label maps their classes; value ranges change nothing of what is looked at."""
    labels = [BY_TYPE if one is None else levels_of_classes(one) for one in data.label_maps]
    return (labels[0], labels[1]) if data.direction == "AtoB" else (labels[1], labels[0])


def labels_of(images: Sequence[ImageFacts], levels: tuple[Levels, Levels]) -> Iterator[Finding]:
    """Files that look like label maps, and are not said to be some."""
    for side, one in zip("ab", levels, strict=True):
        own = [image for image in images if image.side == side]
        highest = max((image.high for image in own), default=0)
        if one.classes is None and 0 < highest < FEW_LEVELS and all(image.channels == 1 for image in own):
            text = f"The files of {side.upper()} hold grey levels 0 to {highest:.0f} alone: label maps?"
            advice = f"--classes-{side} {highest + 1:.0f} shows the networks each class for itself."
            yield Finding("label-maps", "info", text, advice)


def _of_sizes(found: Counter[str], name: str, text: str, advice: str, total: int) -> Iterator[Finding]:
    if found:
        items = [f"{often} x {what}" for what, often in found.most_common()]
        yield Finding(name, "info", f"{sum(found.values())} of {count(total, 'image')} {text}.", advice, items)


def _splits_section(items: Sequence[ItemFacts]) -> Section:
    rows: list[Row] = []
    for split in dict.fromkeys(item.split for item in items):
        own = [item for item in items if item.split == split]
        pairs = sum(len(item.images) == 2 for item in own)
        unread = sum(item.problem is not None for item in own)
        rows.append((split, str(pairs), str(len(own) - pairs - unread), str(unread)))
    return Section("Splits", header=("Split", "pairs", "single images", "unreadable"), rows=rows)


def _images_section(images: Sequence[ImageFacts]) -> Section:
    rows: list[Row] = []
    for side in ("a", "b"):
        own = [image for image in images if image.side == side]
        for kind, often in Counter((one.kind, one.channels) for one in own).most_common():
            these = [one for one in own if (one.kind, one.channels) == kind]
            widths, heights = [one.width for one in these], [one.height for one in these]
            values = f"{number(min(one.low for one in these))} to {number(max(one.high for one in these))}"
            size = f"{min(widths)} to {max(widths)} × {min(heights)} to {max(heights)}"
            rows.append((f"{side.upper()}: {kind[0]}, {kind[1]} channels", str(often), size, values))
    return Section("Kinds of files", header=("Kind", "files", "width × height in px", "values"), rows=rows)


def cost_of(config: RunConfig, num_samples: int) -> dict[str, Any]:
    """Memory and time of a run, from some steps of it on random images, in a process of their own on a CPU."""
    import torch  # noqa: PLC0415  (start-up time)

    from tandem.bench.train_report import measure_training  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415

    device: torch.device = choose_device(config.training.device)
    report = measure_training(config, device, rounds=ROUNDS)
    seconds, steps = 1 / report["steps_per_second"]["tandem"], config.total_steps(num_samples)
    return {
        "device": str(device),
        "step_seconds": seconds,
        "steps": steps,
        "run_seconds": seconds * steps,
        "peak_memory_mb": report["peak_memory_mb"]["tandem"],
    }


def _cost_tiles(cost: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    peak = cost["peak_memory_mb"]
    run = f"{cost['steps']:,} steps of {number(cost['step_seconds'])} s on {cost['device']}"
    log.info("a run takes about %s: %s; peak memory %s", duration(cost["run_seconds"]), run, memory(peak or 0))
    return [
        ("A run takes about", duration(cost["run_seconds"]), run),
        ("Peak memory", "unknown" if peak is None else memory(peak), "of the steps alone"),
    ]
