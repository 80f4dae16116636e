"""One input to one picture, or to several that are numbered: no folder, no page and no record."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tandem.data.array_files import encoded
from tandem.errors import ConfigError
from tandem.files import atomic_write_bytes, remove_leftovers_of
from tandem.inference.jobs import Job
from tandem.inference.runtime import OnTile
from tandem.inference.sample_folder import TYPED_FORMATS, numbered, typed_outputs
from tandem.inference.sampling import SamplingOptions, sample_input
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
        folder = out.with_suffix("")
        raise ConfigError(
            f"--out {out} is one picture, and there are {len(jobs)} inputs: give a folder, e.g. --out {folder} --only "
            f"outputs, which writes NAME{out.suffix} for each of them.",
            option="--out",
        )
    (job,) = jobs
    options = options.for_model(translator)
    eight_bits = all(levels.is_eight_bit for levels in translator.levels(job.direction))
    image, ground_truth = job.read(translator) if eight_bits else job.read_floats(translator)
    series = sample_input(translator, image, ground_truth, options, direction=job.direction, on_tile=on_tile)
    suffix = out.suffix.lower().removeprefix(".")
    outputs = []
    for one in series:
        kept = typed_outputs(one, "jpg" if suffix in ("jpg", "jpeg", "webp") else suffix)
        outputs.append((f"_{one.name}" if len(series) > 1 else "", one.images if kept is None else kept))
    targets: list[Path] = []
    pictures = []
    for part, images in outputs:
        suffix = out.suffix.removeprefix(".")
        ending = numbered(part, len(images), suffix)[-1]
        stem = f"{file_stem(out.stem, room=len(ending))}{part}"
        names = numbered(stem, len(images), suffix) if len(images) > 1 else [out.name]
        targets += [out.with_name(name) for name in names]
        pictures += list(images)
    _require_others(targets, [*(Path(file.place) for file in job.item.files), *options.references])
    for target, picture in zip(targets, pictures, strict=True):
        remove_leftovers_of(target)
        if picture.dtype == np.uint8 and suffix not in TYPED_FORMATS:
            save_image(picture, target)
        else:
            atomic_write_bytes(target, encoded(picture, f".{suffix}"))
    return targets


def _require_others(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    for target in targets:
        if target.exists() and any(source.exists() and target.samefile(source) for source in sources):
            raise ConfigError(f"--out {target} is an input itself: give another name.", option="--out")
