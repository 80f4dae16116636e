"""The demo's page: samples of the models, and the measured mode coverage of each."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tandem.data.discover import find_splits
from tandem.data.synthetic import MODES, DemoInfo, load_dataset_info, mode_weights
from tandem.evaluation.metrics.mode_coverage import MeasuredCoverage, measure_coverage
from tandem.files import atomic_write_text, remove_leftovers_of
from tandem.inference.jobs import Job, split_jobs
from tandem.inference.translator import Translator, load
from tandem.report.animation import save_gif
from tandem.report.demo_page import DemoGroup, DemoView, demo_page
from tandem.report.grid import image_grid, save_image
from tandem.report.progress import TaskProgress
from tandem.report.text import count

SPLIT = "test"
TITLES = {"tandem": "tandem", "bicyclegan": "BicycleGAN", "pix2pix-noise": "pix2pix with noise"}
NUM_SHOWN = 8
NUM_SAMPLES = 12
NUM_FRAMES = 12
NUM_REFERENCES = 3
COVERAGE_SAMPLES = 16
SCALE = 2
"""Enlargement of pictures: 64 px are too small to see."""

log = logging.getLogger(__name__)


def write_demo_page(
    out: Path, data: Path, names: Sequence[str], *, seed: int, device: str, drawing: Path | None = None
) -> Path:
    """Sample the models of the demo, measure their coverage and write ``index.html``.

    Args:
        out: The demo's folder; each model is in the folder of its name.
        data: The demo dataset.
        names: The models; the first one is shown in full, the others beside it.
        seed: Decides the latents.
        device: Where the models run.
        drawing: The page to draw on, in `out`; None where there is none.

    Returns:
        The page's path.
    """
    info = load_dataset_info(data)
    models = {name: load(out / name, device=device) for name in names}
    jobs = split_jobs(find_splits(data)[SPLIT])
    with TaskProgress("measuring mode coverage", len(jobs) * len(models), "inputs") as progress:
        measured = {name: _measure(model, info, seed=seed, progress=progress) for name, model in models.items()}
    (out / "images").mkdir(parents=True, exist_ok=True)
    shown = _one_of_each_kind(info, jobs)
    groups = [
        _write_group(out, job, models, references=[other for other in shown if other is not job], seed=seed)
        for job in shown
    ]
    remove_leftovers_of(out / "coverage.json")
    atomic_write_text(out / "coverage.json", _as_json(measured))
    page = out / "index.html"
    remove_leftovers_of(page)
    atomic_write_text(page, demo_page(_view(measured, groups, models, drawing)))
    for name, one in measured.items():
        log.info("%s (%d steps): %s", name, models[name].manifest.training["steps"], one.coverage.describe())
    return page


def _measure(model: Translator, info: DemoInfo, *, seed: int, progress: TaskProgress) -> MeasuredCoverage:
    before = progress.done
    return measure_coverage(
        model,
        info,
        split=SPLIT,
        num_samples=COVERAGE_SAMPLES,
        seed=seed,
        on_progress=lambda done, _: progress.callback(before + done, progress.total),
    )


def _one_of_each_kind(info: DemoInfo, jobs: list[Job]) -> list[Job]:
    """The first test inputs, kinds of object in turn."""
    order: dict[str, list[Job]] = {}
    for job in jobs:
        order.setdefault(info.entry(SPLIT, job.name).kind, []).append(job)
    longest = max(map(len, order.values()))
    mixed = [group[index] for index in range(longest) for group in order.values() if index < len(group)]
    return mixed[:NUM_SHOWN]


def _write_group(
    out: Path, job: Job, models: Mapping[str, Translator], *, references: list[Job], seed: int
) -> DemoGroup:
    model, *others = models.values()
    drawing, ground_truth = job.read(model)
    assert ground_truth is not None, "jobs of the demo dataset are pairs"
    samples = model(drawing, NUM_SAMPLES, seed=seed, output="array")
    beside = [other(drawing, NUM_SAMPLES, seed=seed, output="array") for other in others]
    way = model.interpolate(drawing, NUM_FRAMES, seed=seed, output="array")
    save_image(image_grid([list(way)], scale=SCALE), out / "images" / f"{job.name}_interpolation.png")
    save_gif([_large(frame) for frame in way], out / "images" / f"{job.name}.gif", duration_ms=120, boomerang=True)
    styled = []
    for index, reference in enumerate(references[:NUM_REFERENCES], 1):
        its_drawing, style = reference.read(model)
        assert style is not None, "jobs of the demo dataset are pairs"
        mu, _ = model.encode(style, input_image=its_drawing)
        output = model(drawing, z=mu, output="array")[0]
        pair = (f"{job.name}_reference_{index}", style), (f"{job.name}_styled_{index}", output)
        styled.append(tuple(_save(out, name, picture) for name, picture in pair))
    return DemoGroup(
        name=job.name,
        drawing=_save(out, f"{job.name}_drawing", drawing),
        ground_truth=_save(out, f"{job.name}_ground_truth", ground_truth),
        samples=[_save(out, f"{job.name}_sample_{i:02d}", s) for i, s in enumerate(samples, 1)],
        beside=[
            [_save(out, f"{job.name}_{name}_{i:02d}", s) for i, s in enumerate(pictures, 1)]
            for name, pictures in zip(list(models)[1:], beside, strict=True)
        ],
        strip=f"images/{job.name}_interpolation.png",
        animation=f"images/{job.name}.gif",
        styled=styled,
    )


def _save(out: Path, name: str, picture: np.ndarray) -> str:
    save_image(_large(picture), out / "images" / f"{name}.png")
    return f"images/{name}.png"


def _large(picture: np.ndarray) -> np.ndarray:
    return picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _view(
    measured: Mapping[str, MeasuredCoverage],
    groups: list[DemoGroup],
    models: Mapping[str, Translator],
    drawing: Path | None,
) -> DemoView:
    ours, *others = measured
    coverage = measured[ours].coverage
    steps = {name: model.manifest.training["steps"] for name, model in models.items()}
    num_pairs = models[ours].manifest.training["num_pairs"]
    told = [f"{_title(name)} shows {measured[name].coverage.describe()}" for name in others]
    return DemoView(
        headline="One drawing, many plausible objects",
        subtitle=f"A small model of the method {_title(ours)} after {count(steps[ours])} steps on {count(num_pairs)} "
        "generated pairs: to the left a drawing that it has not seen, beside it what it makes of it.",
        summary="The colour of each training picture was drawn from eight known modes, independently of the drawing, "
        "so that diversity can be counted. On the test drawings "
        + ". ".join([f"{_title(ours)} shows {coverage.describe()}", *told])
        + f". {_length(steps)}",
        figures=[
            *(
                (_title(name), f"{one.coverage.covered:.1f} of {coverage.num_modes}", f"{count(steps[name])} steps")
                for name, one in measured.items()
            ),
            ("Ideal sampler", f"{coverage.expected:.1f} of {coverage.num_modes}", "closed form"),
        ],
        frequencies=_frequencies(measured),
        groups=groups,
        beside=[f"{_title(name)}, {count(steps[name])} steps" for name in others],
        training_pages={_title(name): f"{name}/index.html" for name in measured},
        drawing_page=None if drawing is None else drawing.name,
        next_steps=[
            ("Train on your own pairs", "tandem train DATA --out runs/mine --size 256"),
            (
                "Use the model from Python",
                f'import tandem\n\ntranslator = tandem.load("runs/demo/{ours}")\n'
                'images = translator("drawing.png", num_samples=5, seed=0)',
            ),
            ("More samples", f"tandem sample runs/demo/{ours} runs/demo/data --out samples --num-samples 10"),
        ],
    )


def _title(name: str) -> str:
    return TITLES.get(name, name)


def _length(steps: Mapping[str, int]) -> str:
    """How long the models were trained, in a sentence."""
    if len(set(steps.values())) == 1:
        return f"Each was trained for {count(next(iter(steps.values())))} steps."
    told = ", ".join(f"{count(n)} steps ({_title(name)})" for name, n in steps.items())
    return f"Trained for {told}, which take about the same CPU time."


def _frequencies(measured: Mapping[str, MeasuredCoverage]) -> dict[str, dict[str, float]]:
    """Of the data and of each model the share of every mode, and of samples that show none."""
    names = [mode.name.split()[0] for mode in MODES]  # the colours
    shares: dict[str, Sequence[float]] = {"true": [*mode_weights(), 0.0]}
    for name, one in measured.items():
        shares[_title(name)] = [*one.coverage.frequencies, one.coverage.unassigned]
    return {title: dict(zip([*names, "no mode"], map(float, values), strict=True)) for title, values in shares.items()}


def _as_json(measured: Mapping[str, MeasuredCoverage]) -> str:
    return json.dumps({name: asdict(one.coverage) for name, one in measured.items()}, indent=2) + "\n"
