"""``tandem data preview DATA [DATA_B] [options of tandem train]``: a contact sheet of what training really sees."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tandem.commands.parser import Command
from tandem.commands.train import RecipeOptions, resolve_beside
from tandem.config.options import names_of, option
from tandem.config.run import RunConfig
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import ResizeMethod, convert_channels, resize
from tandem.data.shards.open import as_location
from tandem.errors import ConfigError, Problem
from tandem.files import atomic_write_text, owned, remove_leftovers_of, scratch_folder
from tandem.report.findings_page import Picture, Row, Section, findings_page
from tandem.report.grid import image_grid, save_image, shown
from tandem.report.text import number
from tandem.targets import file_problems, folder_problems

if TYPE_CHECKING:
    from tandem.data.datasets import PairedDataset, UnpairedDataset

log = logging.getLogger(__name__)

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
MOST_SHOWN_SIDE = 384
LEAST_SHOWN_SIDE = 128


@dataclass(frozen=True, kw_only=True)
class PreviewOptions(RecipeOptions):
    """Which samples are drawn, and where to; all other options are those of training."""

    out: Path = option(
        Path("preview.png"), "picture to write (.png, .jpg, .webp), or a folder for a page with numbers", metavar="PATH"
    )
    number: int = option(8, "samples, one row each: the first ones of the run", at_least=1, at_most=200)
    draws: int = option(
        2, "epochs in which each of them is shown, as crop and flip are drawn anew", at_least=1, at_most=16
    )

    def problems(self) -> Iterator[Problem]:
        """Say why nothing can be written there."""
        if self.out.suffix.lower() in PICTURES:
            yield from file_problems(self.out, "the contact sheet", example="preview.png")
        else:
            yield from folder_problems(self.out, "the page")


@dataclass(frozen=True)
class Seen:
    """One row of the sheet.

    Attributes:
        name: Of the sample.
        files: Its two images as pictures, whole.
        draws: What the networks get of it in each epoch that is shown: a and b, ``(C, H, W)``, float32, [-1, 1].
        levels: Of the two images.
        masked: The share of the pixels of a and of b there that count in no loss; None where nothing is masked.
    """

    name: str
    files: Sequence[np.ndarray]
    draws: Sequence[tuple[np.ndarray, np.ndarray]]
    levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE)
    masked: tuple[float, float] | None = None


DESCRIPTION = (
    "Draw a contact sheet of what training really sees, after resize, crop, flip, augmentation and value range, beside "
    "the files. Give the options with which you mean to train."
)
COMMAND = Command("data preview", DESCRIPTION, {"": PreviewOptions})


def main(arguments: Sequence[str]) -> int:
    """Draw the first samples of a run with these options."""
    own, config = resolve_beside(arguments, COMMAND, PreviewOptions)
    if own.data is None:
        raise ConfigError("DATA missing. Usage: tandem data preview DATA [--out preview.png] [options of training]")
    with scratch_folder() as cache:
        rows = list(samples(config, as_location(own.data), own, cache=cache))
    sheet = draw(rows)
    tables = {side: facts(rows, index) for index, side in enumerate(("A", "B"))}
    for side, values in tables.items():
        what = "input" if side == "A" else "output"
        log.info("the model's %s: %s", what, ", ".join(f"{name} {value}" for name, value in values.items()))
    if own.out.suffix.lower() in PICTURES:
        remove_leftovers_of(own.out)
        save_image(sheet, own.out)
        log.info("contact sheet: %s", own.out)
        return 0
    with owned(own.out, "writing a preview to"):
        save_image(sheet, own.out / "preview.png")
        atomic_write_text(own.out / "index.html", page(own.data, config, tables))
    log.info("page: %s", own.out / "index.html")
    return 0


def samples(config: RunConfig, data: Path | str, own: PreviewOptions, *, cache: Path) -> Iterator[Seen]:
    """The first samples of a run, each in its first epochs.

    Raises:
        DataError: The data cannot be used.
        ConfigError: Options and data don't go together.
    """
    from tandem.training.inputs import find_run_data, make_dataset  # noqa: PLC0415  (imports torch)

    splits = find_run_data(config, data, own.data_b, cache=cache)
    split = splits.get("train") or next(iter(splits.values()))
    log.info("%s", split.describe())
    dataset = make_dataset(config, split)
    for position in range(min(own.number, len(dataset))):
        slots = dataset.slots_at(position)
        files = [image for slot in slots for image in dataset.pictures_of(slot)]
        pictures = [levels.picture(image) for levels, image in zip(dataset.levels, files, strict=True)]
        positions = [position, *(again_at(dataset, slots[0], epoch) for epoch in range(1, own.draws))]
        seen = [dataset[one] for one in positions]
        draws = [(sample["a"].numpy(), sample["b"].numpy()) for sample in seen]
        masks = [(sample["mask_a"], sample["mask_b"]) for sample in seen if "mask_a" in sample and "mask_b" in sample]
        shares = [float(np.mean([1 - float(mask.mean()) for mask in own])) for own in zip(*masks, strict=True)]
        masked = (shares[0], shares[1]) if shares else None
        yield Seen(dataset.name_of(slots), pictures, draws, dataset.levels, masked)


def again_at(dataset: "PairedDataset | UnpairedDataset", slot: int, epoch: int) -> int:
    """The position in an epoch at which a slot of the model's input comes (first)."""
    start = epoch * len(dataset)
    return next(one for one in range(start, start + len(dataset)) if dataset.slots_at(one)[0] == slot)


def draw(rows: Sequence[Seen]) -> Any:
    """The contact sheet: for each row the files, then what is seen in each epoch."""
    sides = [max(image.shape[1:]) for row in rows for pair in row.draws for image in pair]
    side = min(MOST_SHOWN_SIDE, max(LEAST_SHOWN_SIDE, *sides))
    titles = ["input's file", "output's file"]
    titles += [f"{name}, epoch {epoch + 1}" for epoch in range(len(rows[0].draws)) for name in ("input", "output")]
    cells = [
        [*(_fitted(image, side) for image in row.files)]
        + [
            _fitted(levels.pictures(image), side)
            for pair in row.draws
            for image, levels in zip(pair, row.levels, strict=True)
        ]
        for row in rows
    ]
    return image_grid(cells, column_titles=titles, row_titles=[row.name for row in rows], padding=4)


def _fitted(image: np.ndarray, side: int) -> np.ndarray:
    """A picture ``(H, W, C)`` as large as fits into a square cell, over white; small ones show their pixels."""
    image = shown(image)
    if image.shape[2] in {2, 4}:
        image = convert_channels(image, image.shape[2] - 1)  # before hidden colours are mixed with their neighbours
    height, width = image.shape[:2]
    scale = side / max(height, width)
    method: ResizeMethod = "nearest" if scale > 1 else "bicubic"
    return resize(image, max(1, round(height * scale)), max(1, round(width * scale)), method=method)


def facts(rows: Sequence[Seen], side: int) -> Mapping[str, str]:
    """What the networks get of one side over all rows, in words."""
    images = [pair[side] for row in rows for pair in row.draws]
    values = np.concatenate([image.ravel() for image in images])
    masked = [row.masked[side] for row in rows if row.masked is not None]
    sizes = sorted({f"{image.shape[2]}x{image.shape[1]}" for image in images})
    return {
        "channels": str(images[0].shape[0]),
        "size": f"{', '.join(sizes)} px",
        "values": f"{number(float(values.min()))} to {number(float(values.max()))}",
        "mean": number(float(values.mean())),
        "at the lower end": f"{100 * float((values == -1).mean()):.1f} %",
        "at the upper end": f"{100 * float((values == 1).mean()):.1f} %",
    } | ({} if not masked else {"masked": f"{100 * float(np.mean(masked)):.1f} %"})


def page(data: str, config: RunConfig, tables: Mapping[str, Mapping[str, str]]) -> str:
    """The page with the sheet and the numbers."""
    names = list(tables["A"])
    rows: list[Row] = [(name, tables["A"][name], tables["B"][name]) for name in names]
    options = [(one.replace("_", "-"), str(getattr(config.data, one)), "") for one in names_of(type(config.data))]
    sheet = Picture("preview.png", "Samples of the training, one in each row", "A click shows it at its full size.")
    sections = [
        Section("What training sees", "Each row is a sample; the first two pictures are its files.", pictures=[sheet]),
        Section(
            "Values", "Of all pictures above, as the networks get them.", header=("", "input", "output"), rows=rows
        ),
        Section("Options of the data", header=("Option", "Value"), rows=[row[:2] for row in options]),
    ]
    return findings_page("What training sees", f"{data}, method {config.objective.method}.", sections)
