"""The folder that sampling writes: single pictures, grids, animations, a page, and a record of every sample.

``samples.jsonl`` begins with a line of settings; then one line per finished input with the latent of every picture. The
same settings on the same folder continue after the last finished input.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tandem.data.image_file import DiskFile
from tandem.data.images import read_image
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_text, remove_leftovers
from tandem.inference.jobs import Job
from tandem.inference.sampling import SampleSeries, SamplingOptions, sample_input
from tandem.inference.translator import Translator
from tandem.report.animation import save_gif
from tandem.report.grid import image_grid, save_image
from tandem.report.sample_page import SampleGroup, sample_page
from tandem.version import __version__

RECORD_NAME = "samples.jsonl"
FRAME_MS = 120


def sample_to_folder(
    translator: Translator,
    jobs: Sequence[Job],
    out: Path,
    options: SamplingOptions,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Sample all jobs into `out`.

    Returns:
        The path of the page.

    Raises:
        ConfigError: `out` is a file, or holds something that is not a sampling.
        DataError: An input cannot be read; finished ones stay.
    """
    options = options.for_model(translator)
    _require_ours(out)
    settings = _settings(translator, options)
    done = _finished(out, settings)
    lines = [json.dumps(settings), *(json.dumps(record) for record in done.values())]
    atomic_write_text(out / RECORD_NAME, "".join(line + "\n" for line in lines))
    pictures = out / "images"
    pictures.mkdir(exist_ok=True)
    for folder in (out, pictures):
        remove_leftovers(folder)
    with (out / RECORD_NAME).open("a", encoding="utf-8") as log:
        for index, job in enumerate(jobs):
            identity = {"source": job.describe(), "direction": job.direction or translator.directions[0]}
            if any(done.get(job.name, {}).get(key) != value for key, value in identity.items()):
                done[job.name] = identity | _sample_job(translator, job, pictures, options)
                log.write(json.dumps(done[job.name]) + "\n")
                log.flush()
            if on_progress is not None:
                on_progress(index + 1, len(jobs))
    groups = [_group(done[job.name]) for job in jobs]
    page = out / "index.html"
    kind = "Translations" if not translator.is_stochastic else "Random samples"
    titles = {"random": kind, "interpolate": "Interpolations", "encode": "Encoded and decoded"}
    provenance = {str(name): json.dumps(value) for name, value in settings.items()}
    title = titles.get(options.mode, "In the style of a reference")
    atomic_write_text(page, sample_page(title, groups, provenance=provenance))
    return page


def _require_ours(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; give a folder for the samples.")
    ours = not out.exists() or (out / RECORD_NAME).exists()
    if not ours and not all(path.match(".*.tmp") for path in out.iterdir()):
        raise ConfigError(
            f"--out {out} holds other files and no samples (no {RECORD_NAME}): give a new folder, e.g. {out / 'NAME'}."
        )


def _sample_job(translator: Translator, job: Job, pictures: Path, options: SamplingOptions) -> dict[str, Any]:
    input_image, ground_truth = job.read(translator)
    series = sample_input(translator, input_image, ground_truth, options, direction=job.direction)
    record: dict[str, Any] = {"name": job.name, "input": f"images/{job.name}_input.png"}
    save_image(input_image, pictures / f"{job.name}_input.png")
    if ground_truth is not None:
        record["ground_truth"] = f"images/{job.name}_ground_truth.png"
        save_image(ground_truth, pictures / f"{job.name}_ground_truth.png")
    if len(options.references) == 1:
        record["reference"] = f"images/{job.name}_reference.png"
        save_image(read_image(options.references[0]), pictures / f"{job.name}_reference.png")
    record["series"] = []
    for one in series:
        stem = f"{job.name}_{one.name}"
        save_image(_grid(one, input_image, ground_truth, options), pictures / f"{stem}_grid.png")
        record["series"].append(_save_series(one, stem, pictures, options.image_format))
    return record


def _save_series(series: SampleSeries, stem: str, pictures: Path, suffix: str) -> dict[str, Any]:
    digits = max(2, len(str(len(series.images))))
    files = [f"{stem}_{index + 1:0{digits}d}.{suffix}" for index in range(len(series.images))]
    for file, output in zip(files, series.images, strict=True):
        save_image(output, pictures / file)
    animation = None
    if series.animated:
        animation = f"images/{stem}.gif"
        save_gif(list(series.images), pictures / f"{stem}.gif", duration_ms=FRAME_MS, boomerang=True)
    return {
        "name": series.name,
        "grid": f"images/{stem}_grid.png",
        "animation": animation,
        "samples": [
            {"file": f"images/{file}", "caption": caption, "z": [float(value) for value in z]}
            for file, caption, z in zip(files, series.captions, series.z, strict=True)
        ],
    }


def _grid(
    series: SampleSeries, input_image: np.ndarray, ground_truth: np.ndarray | None, options: SamplingOptions
) -> Image.Image:
    """The input first, then its ground truth, then the samples; references stand above what was made from them."""
    first = [input_image] if ground_truth is None else [input_image, ground_truth]
    titles = ["input"] if ground_truth is None else ["input", "ground truth"]
    rows: list[list[np.ndarray | None]] = [[*first, *series.images]]
    if options.references:
        rows.insert(0, [*[None] * len(first), *(read_image(path) for path in options.references)])
    return image_grid(rows, column_titles=[*titles, *series.captions])


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
    )


def _settings(translator: Translator, options: SamplingOptions) -> dict[str, Any]:
    manifest = translator.manifest
    return {
        "tandem": __version__,
        "model": None if manifest.weights is None else manifest.weights.sha256,
        "steps": manifest.training.get("steps"),
        "mode": options.mode,
        "num_samples": len(options.z) if options.z is not None else options.num_samples,
        "seed": None if options.z is not None else options.seed,
        "z": None if options.z is None else options.z.tolist(),
        "fit": options.fit,
        "references": [DiskFile(path).describe() for path in options.references],
        "format": options.image_format,
        "cycle": options.cycle,
        "precision": translator.runtime.precision,
    }


def _finished(out: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Records of an earlier call with the same settings whose pictures are all still there."""
    path = out / RECORD_NAME
    if not path.exists():
        return {}
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break  # cut off by a kill; what follows is made again
    if not records or records[0] != dict(settings):
        return {}
    try:
        complete = [record for record in records[1:] if all((out / file).is_file() for file in _files(record))]
        return {record["name"]: record for record in complete}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error!r}): remove it, or give another --out.") from error


def _files(record: Mapping[str, Any]) -> list[str]:
    files = [record[key] for key in ("input", "ground_truth", "reference") if key in record]
    for series in record["series"]:
        files += [series["grid"], *(sample["file"] for sample in series["samples"])]
        files += [series["animation"]] if series["animation"] else []
    return files
