"""One input to one picture, or to several that are numbered: no folder, no page and no record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from tandem.data.array_files import save_array, written_suffix
from tandem.data.formats.tiff_large import is_large_tiff
from tandem.data.splits import SingleImage
from tandem.data.volumes import slice_of
from tandem.errors import ConfigError
from tandem.files import remove_leftovers_of
from tandem.inference.finish import Finished, finish_of, finished, say_outside
from tandem.inference.jobs import Job
from tandem.inference.large import translate_tiff
from tandem.inference.runtime import OnTile
from tandem.inference.sample_folder import TYPED_FORMATS, numbered, typed_outputs
from tandem.inference.sampling import ImageFormat, SamplingOptions, sample_input
from tandem.inference.translator import Translator
from tandem.names import file_stem
from tandem.report.grid import save_image


def sample_to_picture(
    translator: Translator,
    jobs: Sequence[Job],
    out: Path,
    options: SamplingOptions,
    *,
    on_tile: OnTile | None = None,
) -> list[Path]:
    """Sample one input into the file `out`, or into files beside it: ``x.png`` becomes ``x_01.png``, ``x_02.png`` ….

    Files of these names are replaced.

    Args:
        translator: The model.
        jobs: The input; there must be exactly one.
        out: A picture, whose ending says the format.
        options: How; one sample unless they say otherwise.
        on_tile: Called with the tiles done and those in all while the image is translated in tiles.

    Returns:
        The files.

    Raises:
        ConfigError: There are several inputs, or a file would be written over an input.
        DataError: The input cannot be read.
    """
    if len(jobs) != 1:
        ending = written_suffix(out.name)
        folder = out.with_name(out.name[: -len(ending)])
        raise ConfigError(
            f"--out {out} is one picture, and there are {len(jobs)} inputs: give a folder, e.g. --out {folder} --only "
            f"outputs, which writes NAME{ending} for each of them.",
            option="--out",
        )
    (job,) = jobs
    suffix = written_suffix(out.name).removeprefix(".")
    if suffix in get_args(ImageFormat):
        options = replace(options, image_format=cast("ImageFormat", suffix))
    options = options.for_model(translator)
    if is_large_tiff(file := Path(job.item.files[0].place)):
        if job.item.mask is not None:
            raise ConfigError(f"{file} is translated part by part, from file to file, and such files take no masks.")
        targets = _large_targets(job, file, out, options)
        translate_tiff(translator, file, targets, options, direction=job.direction, on_tile=on_tile)
        return targets
    eight_bits = all(levels.is_eight_bit for levels in translator.levels(job.direction))
    image, ground_truth = job.read(translator) if eight_bits else job.read_floats(translator)
    finish = finish_of(job, translator, options)
    series = sample_input(translator, image, ground_truth, options, direction=job.direction, on_tile=on_tile)
    say_outside(finish.num_outside)
    outputs = []
    for one in series:
        kept = typed_outputs(one, "jpg" if suffix in ("jpg", "jpeg", "webp") else suffix)
        own = finished(finish, one.images if kept is None else kept, one.name)
        outputs.append((f"_{one.name}" if len(series) > 1 else "", own))
    targets: list[Path] = []
    pictures: list[Finished] = []
    for part, images in outputs:
        own = out.name[len(out.name) - len(suffix) :]  # as it was typed
        ending = numbered(part, len(images), own)[-1]
        stem = f"{file_stem(out.name.removesuffix(f'.{own}'), room=len(ending))}{part}"
        names = numbered(stem, len(images), own) if len(images) > 1 else [out.name]
        targets += [out.with_name(name) for name in names]
        pictures += images
    _require_others(
        targets, [*(Path(part.place) for file in job.item.files for part in file.parts), *options.references]
    )
    for target, (array, carried) in zip(targets, pictures, strict=True):
        remove_leftovers_of(target)
        if array.dtype == np.uint8 and suffix not in TYPED_FORMATS and finish.levels.palette is None:
            save_image(array, target, carried=carried.for_image(array))
        else:
            save_array(target, array, carried)
    return targets


def _large_targets(job: Job, source: Path, out: Path, options: SamplingOptions) -> list[Path]:
    """Where the samples of an image go that is not read at once, but translated from file to file."""
    if out.suffix.lower() not in (".tif", ".tiff") or not isinstance(job.item, SingleImage) or job.item.half:
        raise ConfigError(
            f"{source} is translated part by part, from file to file: give a TIFF as --out, e.g. "
            f"{out.with_suffix('.tif')}.",
            option="--out",
        )
    number = options.num_samples or 1
    number = number if options.z is None else len(options.z)
    ending = out.suffix.removeprefix(".")
    stem = file_stem(out.stem, room=len(numbered("", number, ending)[-1]))
    names = numbered(stem, number, ending) if number > 1 else [out.name]
    targets = [out.with_name(name) for name in names]
    _require_others(targets, [source])
    return targets


def _require_others(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    sources = [source if (one := slice_of(source)) is None else one.file for source in sources]
    for target in targets:
        if target.exists() and any(source.exists() and target.samefile(source) for source in sources):
            raise ConfigError(f"--out {target} is an input itself: give another name.", option="--out")
