"""The folder that sampling writes: single pictures, grids, animations, a page, and a record of every sample.

The same settings on the same folder continue after the last finished input (`tandem.inference.sample_record`). With
``only="outputs"`` there are the output pictures alone, under the names of their inputs, and the record is hidden.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tandem.data.array_files import fits_png, save_array
from tandem.data.formats.carried import NOTHING, Carried
from tandem.data.images import read_image
from tandem.errors import ConfigError, DataError, listed
from tandem.files import (
    atomic_write_text,
    belongs_to_others,
    missing_folders,
    owned,
    remove_empty,
    remove_leftovers,
)
from tandem.inference.finish import Finish, Finished, finish_of, finished, say_outside
from tandem.inference.jobs import Job
from tandem.inference.runtime import OnTile
from tandem.inference.sample_record import PICTURES, SampleRecord, hashes_of, settings_of, subfolders_of
from tandem.inference.sample_shares import Alone, Identity, Outcome, Sample, Shares, identity_of
from tandem.inference.sample_spread import SpreadCells, sample_spread
from tandem.inference.sampling import SampleSeries, SamplingOptions, sample_input
from tandem.inference.translator import Translator
from tandem.names import file_path
from tandem.report.animation import save_gif
from tandem.report.grid import MOST_SHOWN, image_grid, save_image, shown
from tandem.report.links import links_of, renew_links, run_links, run_of
from tandem.report.nature import Nature
from tandem.report.sample_page import SampleGroup, sample_page
from tandem.report.spread_pictures import SpreadPictures, save_spread_values
from tandem.targets import require_folder_target

RECORD_NAME = "samples.jsonl"
HIDDEN_RECORD_NAME = ".samples.jsonl"
RECORD_NAMES = (RECORD_NAME, HIDDEN_RECORD_NAME)
PAGE_NAME = "index.html"
FRAME_MS = 120
TYPED_FORMATS = ("tif", "tiff", "npy", "nii", "nii.gz", "dcm", "exr", "ome.zarr")
"""Endings of files and folders that hold outputs of any type and number of channels."""


def sample_to_folder(
    translator: Translator,
    jobs: Sequence[Job],
    out: Path,
    options: SamplingOptions,
    *,
    model: Path | None = None,
    shares: Shares | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_tile: OnTile | None = None,
) -> Path:
    """Sample all jobs into `out`.

    Pictures of an earlier sampling there that do not belong to this one are removed.

    Args:
        translator: The model.
        jobs: What is translated.
        out: The folder.
        options: How.
        model: Where the model was loaded from, which the page leads to.
        shares: Which processes sample; by default this one.
        on_progress: Called with the jobs done and those in all.
        on_tile: Called with the tiles done and those in all while an image is translated in tiles.

    Returns:
        The path of the page, or of the folder where only outputs are written.

    Raises:
        ConfigError: `out` cannot be a folder, or holds something that is not a sampling.
        DataError: Inputs cannot be read; all of them are named, and all others are finished.
    """
    options = options.for_model(translator)
    require_folder_target(out, "the samples")
    _require_ours(out)
    _require_inputs(jobs, options)
    with owned(out, "writing samples to"):
        _require_ours(out)
        shares = shares or Alone(sampler(translator, jobs, out, options, on_tile=on_tile))
        return _sample(translator, jobs, out, options, shares, model=model, on_progress=on_progress)


def _sample(
    translator: Translator,
    jobs: Sequence[Job],
    out: Path,
    options: SamplingOptions,
    shares: Shares,
    *,
    model: Path | None,
    on_progress: Callable[[int, int], None] | None,
) -> Path:
    settings = settings_of(translator, options)
    is_new = not any((out / name).exists() for name in RECORD_NAMES)
    made = missing_folders(out / PICTURES if options.only is None else out)
    record = _open_record(out, settings, options)
    for folder in subfolders_of(out if options.only else out / PICTURES, [file_path(job.name) for job in jobs]):
        remove_leftovers(folder)
    try:
        problems = _sample_all(jobs, record, shares, on_progress=on_progress)
    finally:
        if is_new and not record.done:  # nothing came of it, for whatever reason
            record.path.unlink(missing_ok=True)
            remove_empty(made)
    if options.only is None and record.path.exists():
        _write_page(out, translator, jobs, record, options, model=model)
    if problems:
        raise DataError(_failed(problems, len(jobs)))
    return out / PAGE_NAME if options.only is None else out


def sampled_groups(translator: Translator, out: Path, options: SamplingOptions) -> dict[str, SampleGroup]:
    """By the name of each input, what an earlier call with the same settings has finished in `out`.

    Raises:
        DataError: The record there is damaged.
    """
    record = SampleRecord(out / RECORD_NAME, settings_of(translator, options.for_model(translator)))
    record.read()
    return {name: _group(line) for name, line in record.done.items()}


def _open_record(out: Path, settings: Mapping[str, Any], options: SamplingOptions) -> SampleRecord:
    """The record of this sampling, with what an earlier call has finished; what it has left is removed."""
    own, other = RECORD_NAMES if options.only is None else reversed(RECORD_NAMES)
    record = SampleRecord(out / own, settings)
    record.read()
    if (out / other).exists():
        record.take_over(out / other)
    record.write()
    record.remove_obsolete()
    (out / other).unlink(missing_ok=True)
    if options.only is None:
        (out / PICTURES).mkdir(exist_ok=True)
    elif other == RECORD_NAME:
        (out / PAGE_NAME).unlink(missing_ok=True)
        remove_empty([out / PICTURES])
    remove_leftovers(out / PICTURES)
    return record


def _sample_all(
    jobs: Sequence[Job],
    record: SampleRecord,
    shares: Shares,
    *,
    on_progress: Callable[[int, int], None] | None,
) -> list[str]:
    """Sample what is not finished yet; say of the inputs that cannot be read why not."""
    problems: dict[int, str] = {}
    known = [identity_of(record.done.get(job.name)) for job in jobs]
    with record.path.open("a", encoding="utf-8") as log:
        for done, (index, outcome) in enumerate(shares.outcomes(known), 1):
            name = jobs[index].name
            if outcome.problem is not None:
                record.drop(name)
                problems[index] = outcome.problem
            elif outcome.line is not None:
                record.drop(name)
                record.done[name] = outcome.line
                log.write(json.dumps(outcome.line) + "\n")
                log.flush()
            record.remove_obsolete()
            if on_progress is not None:
                on_progress(done, len(jobs))
    say_outside(sum(record.done[job.name].get("outside", 0) for job in jobs if job.name in record.done))
    if record.put_in_order([job.name for job in jobs]) or problems:
        record.write()
    return [problems[index] for index in sorted(problems)]


def sampler(
    translator: Translator,
    jobs: Sequence[Job],
    folder: Path,
    options: SamplingOptions,
    *,
    on_tile: OnTile | None = None,
) -> Sample:
    """What samples one of some jobs into a folder, and keeps no record of it.

    Args:
        translator: The model.
        jobs: What can be translated.
        folder: Where the pictures go.
        options: How, with the number of samples decided (`SamplingOptions.for_model`).
        on_tile: Called with the tiles done and those in all while an image is translated in tiles.
    """

    def sample(index: int, known: Identity | None) -> Outcome:
        job, pictures = jobs[index], _Pictures(folder)
        try:
            identity = {"source": job.describe(), "direction": job.direction or translator.directions[0]}
            if known == identity:
                return Outcome()
            line = identity | _sample_job(translator, job, pictures, options, on_tile)
            return Outcome(line=line | {"files": hashes_of(folder, pictures.written)})
        except DataError as error:
            pictures.remove()
            return Outcome(problem=str(error))
        except BaseException:
            pictures.remove()
            raise

    return sample


def _failed(problems: Sequence[str], total: int) -> str:
    rest = "all others are finished" if len(problems) < total else "nothing was written"
    return (
        f"{len(problems)} of {total} inputs cannot be used, and {rest}:\n{listed(problems, limit=len(problems))}\n"
        "The same command tries these again."
    )


def _require_ours(out: Path) -> None:
    if belongs_to_others(out, *RECORD_NAMES):
        raise ConfigError(
            f"--out {out} holds other files and no samples (no {RECORD_NAME}): give a new folder, e.g. {out / 'NAME'}."
        )


def _require_inputs(jobs: Sequence[Job], options: SamplingOptions) -> None:
    """Refuse at once what would fail for every input."""
    for path in options.references:
        read_image(path)
    if options.mode == "encode" and (alone := [job for job in jobs if not job.is_pair]):
        raise DataError(
            f"--mode encode needs pairs: it encodes each input's own ground truth, and {alone[0].name} has none. Give "
            "a dataset folder of pairs, or --pairs with side-by-side files (or --mode reference --reference IMAGE)."
        )


class _Pictures:
    """Writes the pictures of one input and knows which they are, relative to the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: list[str] = []

    def save(self, image: np.ndarray | Image.Image, file: str, carried: Carried = NOTHING) -> str:
        """Write a picture; returns its name."""
        save_image(image, self._folder / file, carried=carried)
        self.written.append(file)
        return file

    def save_output(self, output: Finished, file: str) -> str:
        """Write a picture that is an output; returns its name."""
        return self.save(output.array, file, output.carried.for_image(output.array))

    def save_typed(self, output: Finished, file: str) -> str:
        """Write an output in its own type; returns the name of the file or folder."""
        made = save_array(self._folder / file, output.array, output.carried)
        self.written += [one.relative_to(self._folder).as_posix() for one in made]
        return file

    def save_animation(self, images: Sequence[np.ndarray], file: str) -> str:
        """Write a GIF that goes through pictures and back; returns its name."""
        save_gif(list(images), self._folder / file, duration_ms=FRAME_MS, boomerang=True)
        self.written.append(file)
        return file

    def save_values(self, mean: np.ndarray, guessed: np.ndarray, flagged: np.ndarray, file: str) -> str:
        """Write the numbers of a spread; returns the file's name."""
        save_spread_values(self._folder / file, mean, guessed, flagged)
        self.written.append(file)
        return file

    def remove(self) -> None:
        """Remove all of them: the input is not finished, so that nobody would know whose they are."""
        for file in self.written:
            (self._folder / file).unlink(missing_ok=True)
        remove_empty(subfolders_of(self._folder, self.written))


def _sample_job(
    translator: Translator, job: Job, pictures: _Pictures, options: SamplingOptions, on_tile: OnTile | None
) -> dict[str, Any]:
    input_image, ground_truth = job.read(translator)
    eight_bits = all(levels.is_eight_bit for levels in translator.levels(job.direction))
    given = (input_image, ground_truth) if eight_bits else job.read_floats(translator)
    finish = finish_of(job, translator, options)
    series = sample_input(translator, *given, options, direction=job.direction, on_tile=on_tile)
    line: dict[str, Any] = {"name": job.name, "outside": finish.num_outside}
    if options.only == "outputs":
        names = [(job.name, f"_{one.name}" if len(series) > 1 else "") for one in series]
        return line | {
            "series": [
                _save_outputs(one, name, pictures, options, finish) for one, name in zip(series, names, strict=True)
            ]
        }
    stem = f"{PICTURES}/{file_path(job.name)}"
    line["input"] = pictures.save(shown(input_image), f"{stem}_input.png")
    if ground_truth is not None:
        line["ground_truth"] = pictures.save(shown(ground_truth), f"{stem}_ground_truth.png")
    if len(options.references) == 1:
        line["reference"] = pictures.save(read_image(options.references[0]), f"{stem}_reference.png")
    line["series"] = []
    cells = None
    if options.spread:
        (drawn,) = series
        cells = sample_spread(translator, input_image, drawn.images, options, on_tile=on_tile)
        line["spread"] = _save_spread(cells, f"{stem}_spread", pictures)
    for one in series:
        grid = None
        if len(one.images) > 1 or cells is not None:  # a single output is seen beside its input on the page
            joined = _grid(one, input_image, ground_truth, options, cells)
            grid = pictures.save(joined, f"{stem}_{one.name}_grid.png")
        line["series"].append({**_save_series(one, f"{stem}_{one.name}", pictures, options, finish), "grid": grid})
    return line


def _save_series(
    series: SampleSeries, stem: str, pictures: _Pictures, options: SamplingOptions, finish: Finish
) -> dict[str, Any]:
    suffix = options.image_format
    kept = typed_outputs(series, suffix)
    files = numbered(stem, len(series.images), "png" if kept is not None else suffix)
    saved = [pictures.save(shown(output), file) for file, output in zip(files, series.images, strict=True)]
    samples = _samples(series, saved)
    if kept is not None:  # the page shows pictures of 8 bits; beside them stand the outputs as they are
        own = "tif" if finish.levels.classes is None else "png"
        names = numbered(f"{stem}_values", len(kept), suffix if suffix in TYPED_FORMATS else own)
        for sample, output, file in zip(samples, finished(finish, kept, series.name), names, strict=True):
            sample["values"] = pictures.save_typed(output, file)
    animation = None
    if series.animated:
        animation = pictures.save_animation([shown(image) for image in series.images], f"{stem}.gif")
    return {"name": series.name, "animation": animation, "samples": samples}


def _save_spread(cells: SpreadCells, stem: str, pictures: _Pictures) -> dict[str, Any]:
    saved = [[pictures.save(cell, f"{stem}_{name}.png"), cells.captions[name]] for name, cell in cells.cells.items()]
    spread = cells.spread
    values = pictures.save_values(spread.mean, spread.guessed, spread.flagged, f"{stem}.tif")
    return {"pictures": saved, "values": values, "legend": cells.legend, "calibrated": spread.calibrated}


def _save_outputs(
    series: SampleSeries, name: tuple[str, str], pictures: _Pictures, options: SamplingOptions, finish: Finish
) -> dict[str, Any]:
    """Outputs under the name of their input, ``NAME.png``; ``NAME_01.png`` and so on where there are several."""
    own, part = name
    kept = typed_outputs(series, options.image_format)
    number, suffix = len(series.images), options.image_format
    if kept is not None and suffix not in TYPED_FORMATS and not fits_png(kept[0]):
        suffix = "tif"
    longest = numbered(part, number, suffix)[-1] if number > 1 else f"{part}.{suffix}"
    stem = f"{file_path(own, room=len(longest))}{part}"
    files = numbered(stem, number, suffix) if number > 1 else [f"{stem}.{suffix}"]
    save, outputs = (pictures.save_output, series.images) if kept is None else (pictures.save_typed, kept)
    saved = [save(output, file) for file, output in zip(files, finished(finish, outputs, series.name), strict=True)]
    return {"name": series.name, "animation": None, "samples": _samples(series, saved)}


def typed_outputs(series: SampleSeries, suffix: str) -> np.ndarray | None:
    """Outputs as they are written in the type of the files of training; None where pictures of 8 bits are all of it."""
    if series.values is not None:
        return None if suffix in ("jpg", "webp") else series.values
    more = series.images.shape[3] > MOST_SHOWN
    return series.images if suffix in TYPED_FORMATS or more else None


def numbered(stem: str, number: int, suffix: str) -> list[str]:
    """The names of several pictures: ``STEM_01.png``, with as many digits as it takes."""
    digits = max(2, len(str(number)))
    return [f"{stem}_{index + 1:0{digits}d}.{suffix}" for index in range(number)]


def _samples(series: SampleSeries, files: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"file": file, "caption": caption, "z": [float(value) for value in z]}
        for file, caption, z in zip(files, series.captions, series.z, strict=True)
    ]


def _grid(
    series: SampleSeries,
    input_image: np.ndarray,
    ground_truth: np.ndarray | None,
    options: SamplingOptions,
    spread: SpreadCells | None,
) -> Image.Image:
    """The input, its ground truth, the samples, their spread; references stand above what was made from them."""
    first = [input_image] if ground_truth is None else [input_image, ground_truth]
    titles = ["input"] if ground_truth is None else ["input", "ground truth"]
    last = {} if spread is None else spread.cells
    rows: list[list[np.ndarray | None]] = [[*first, *series.images, *last.values()]]
    if options.references:
        rows.insert(0, [*[None] * len(first), *(read_image(path) for path in options.references)])
    return image_grid(rows, column_titles=[*titles, *series.captions, *last])


def _write_page(
    out: Path,
    translator: Translator,
    jobs: Sequence[Job],
    record: SampleRecord,
    options: SamplingOptions,
    *,
    model: Path | None,
) -> None:
    single = not translator.latent_dim and options.num_samples == 1
    kind = "Translations" if single or options.cycle else "Random samples"
    titles = {"random": kind, "interpolate": "Interpolations", "encode": "Encoded and decoded"}
    title = titles.get(options.mode, "In the style of a reference")
    provenance = {str(name): json.dumps(value) for name, value in record.settings.items()}
    groups = [_group(record.done[job.name]) for job in jobs if job.name in record.done]
    nature = Nature(latent=translator.latent_dim > 0, noise=not single and translator.abilities.has_dropout_noise)
    page = out / PAGE_NAME
    links = links_of(page, {"Record of all samples": record.path})
    run = None if model is None else run_of(model)
    if model is not None:
        links += run_links(page, run) if run is not None else links_of(page, {"Model": model / "model.json"})
    atomic_write_text(page, sample_page(title, groups, provenance=provenance, nature=nature, links=links))
    if run is not None:
        renew_links(run)


def _group(record: Mapping[str, Any]) -> SampleGroup:
    animated = [series for series in record["series"] if series["animation"]]
    plain = [series for series in record["series"] if not series["animation"]]
    return SampleGroup(
        name=record["name"],
        input_picture=record["input"],
        ground_truth_picture=record.get("ground_truth"),
        reference_picture=record.get("reference"),
        samples=[(sample["file"], sample["caption"]) for series in plain for sample in series["samples"]],
        grid=plain[0]["grid"] if plain else None,
        strips=[(series["grid"], series["name"]) for series in animated],
        animation=animated[-1]["animation"] if animated else None,
        spread=None if "spread" not in record else _spread_pictures(record["spread"]),
    )


def _spread_pictures(record: Mapping[str, Any]) -> SpreadPictures:
    pictures = tuple((file, caption) for file, caption in record["pictures"])
    return SpreadPictures(pictures, record["values"], record["legend"])
