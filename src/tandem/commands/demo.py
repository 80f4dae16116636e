"""``tandem demo``: from nothing to a page that shows what a multimodal model does, measured.

Draws the demo dataset, trains a small model of the method `tandem` on it and others to compare it with, for about the
same CPU time (by default BicycleGAN, and pix2pix with noise, which has no working latent), samples all of them and
counts which of the known modes appear. Every part continues where it was interrupted.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.named import kept_folder
from tandem.commands.parser import Command
from tandem.config.options import Options, option, refuse, same
from tandem.config.presets import preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.config.training import TrainingConfig
from tandem.config.variants import VARIANTS
from tandem.errors import Problem, TandemError, nearest
from tandem.targets import folder_problems

OURS = "tandem"
BASELINES = ("bicyclegan", "pix2pix-noise")
STEPS = 2700
STEPS_FOR_ONE = {"bicyclegan": 0.74, "pix2pix-noise": 1.73}
"""Steps of a model that take the CPU time of one of ours, measured with ``python -m benchmarks.demo``; those of other
ablations of BicycleGAN are taken to be as long as its own."""
NUM_PAIRS = 2000
SIGNAL_STATUS = 128

log = logging.getLogger(__name__)


def _comparable() -> list[str]:
    return ["bicyclegan", *(name for name, variant in VARIANTS.items() if variant.method == "bicyclegan")]


def _models(text: str) -> tuple[str, ...]:
    names, known = tuple(filter(None, text.split(","))), _comparable()
    problems = [
        Problem(f"--compare {name}: must be among {', '.join(known)}.{nearest(name, known)}", "--compare", name)
        for name in names
        if name not in known
    ]
    refuse(problems)
    return names


@dataclass(frozen=True, kw_only=True)
class DemoOptions(Options):
    """How long the demo trains what, and where it goes."""

    out: Path = option(Path("runs/demo"), "folder for everything")
    steps: int = option(STEPS, "training steps; the models beside it train for as much CPU time", at_least=1)
    compare: tuple[str, ...] = option(
        BASELINES, f"other models, with commas between: {', '.join(_comparable())}", read=_models
    )
    seed: int = same(TrainingConfig, "seed")
    device: str = same(TrainingConfig, "device")
    threads: int | None = same(TrainingConfig, "threads")

    def problems(self) -> Iterator[Problem]:
        """Say why there can be no such folder."""
        yield from folder_problems(self.out, "the demo")


COMMAND = Command("demo", "Draw a dataset, train on it, sample and measure; writes OUT/index.html.", {"": DemoOptions})


def main(arguments: Sequence[str]) -> int:
    """Parse the options and run the demo."""
    (options,) = COMMAND.parse(arguments)
    runs = {
        name: demo_config(name, options.steps, seed=options.seed, device=options.device, threads=options.threads)
        for name in (OURS, *options.compare)
    }
    status = _run(options.out, runs, seed=options.seed, device=options.device)
    if status == 0 and options.steps >= STEPS:
        folder = keep_model(options.out / OURS)
        log.info("Its model is called demo from now on: tandem sample demo drawing.png --out shoe.png (%s)", folder)
    return status


def keep_model(run: Path) -> Path:
    """Keep the model of a run under the name ``demo``, with weights in half of their size."""
    from tandem.checkpoint.bundle import load_bundle, load_prior, save_bundle  # noqa: PLC0415  (imports torch)

    manifest, networks = load_bundle(run)
    folder = kept_folder("demo")
    save_bundle(folder, manifest, networks, prior=load_prior(run, manifest), storage="fp16")
    return folder


def demo_config(name: str, steps: int, *, seed: int, device: str, threads: int | None = None) -> RunConfig:
    """The demo's preset for a method, or for an ablation of BicycleGAN, as long as `steps` of the method `tandem`."""
    common = {"seed": seed, "device": device, "threads": threads}
    if name == OURS:
        return from_flat(preset_options("demo") | common | {"steps": steps})
    common |= preset_options("demo-bicyclegan")
    own = max(1, round(steps * STEPS_FOR_ONE.get(name, STEPS_FOR_ONE["bicyclegan"])))
    variant = dict(VARIANTS[name].options) if name in VARIANTS else {}
    return from_flat(common | _length(own, common["batch_size"]) | variant)


def _length(steps: int, batch_size: int) -> dict[str, object]:
    """Options for a run of `steps` whose rate falls in its second half."""
    epochs = -(-steps * batch_size // NUM_PAIRS)
    decay = max(1, epochs // 2)
    return {
        "steps": steps,
        "lr_schedule": "linear",
        "lr_constant_epochs": epochs - decay,
        "lr_decay_epochs": decay,
    }


def _run(out: Path, runs: dict[str, RunConfig], *, seed: int, device: str) -> int:
    from tandem.commands.demo_report import write_demo_page  # noqa: PLC0415  (imports torch)
    from tandem.data.synthetic import write_dataset  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)
    from tandem.report.progress import TaskProgress  # noqa: PLC0415
    from tandem.training.trainer import train  # noqa: PLC0415  (imports torch)

    choose_device(device)  # say what is wrong with it before anything is drawn
    data = out / "data"
    with TaskProgress("drawing the demo dataset", None, "pairs") as progress:
        write_dataset(data, seed=seed, num_train=NUM_PAIRS, on_progress=progress.callback)
    for name, config in runs.items():
        log.info("--- %s: watch %s", name, out / name / "index.html")
        result = train(config, data, out / name)
        if result.stopped_by is not None:
            return SIGNAL_STATUS + result.stopped_by
    drawing = _write_drawing_page(out)
    page = write_demo_page(out, data, list(runs), seed=seed, device=device, drawing=drawing)
    log.info("\nThe demo is ready: open %s", page.resolve())
    if drawing is not None:
        log.info("To draw yourself: open %s", drawing.resolve())
    else:
        log.info("To draw yourself: tandem serve %s", out / OURS)
    return 0


def _write_drawing_page(out: Path) -> Path | None:
    """Our model in the page to draw on: a folder for hosts, and one file, which is returned.

    None where what that needs beside the model cannot be had, which is said: the demo is whole without it.
    """
    from tandem.web.export import export_web  # noqa: PLC0415  (imports torch)
    from tandem.web.runtime import find_runtime  # noqa: PLC0415

    model, file = out / OURS, out / "draw.html"
    try:
        runtime = find_runtime()
        export_web(model, out / "draw", name=OURS, runtime=runtime)
        export_web(model, file, name=OURS, runtime=runtime, is_single_file=True)
    except (TandemError, OSError) as error:
        log.warning("there is no page to draw on without a server: %s", error)
        log.warning("to have it later: tandem export %s --to web --single-file --out %s", model, file)
        return None
    return file
