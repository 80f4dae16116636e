"""``tandem train DATA --out runs/NAME --seeds 0,1,2``: a run for each seed, and a page of them all."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from tandem.config.run import RunConfig
from tandem.errors import ConfigError, DataError, Problem
from tandem.files import atomic_write_text, remove_leftovers_of
from tandem.report.seeds_page import SeedRow, interval_text, mean_text, seeds_page
from tandem.report.text import count

PAGE_NAME = "index.html"
_LAST = "The last measurement of each run; arrows say which way is better."
_BEST = "At the best checkpoint of each run. It was chosen by such a number, which flatters it."
_INTERVAL = " Intervals are those of Student's t for the mean over training runs, and take the numbers for normal."

log = logging.getLogger(__name__)


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds from a text with commas between them.

    Raises:
        ConfigError: One is no whole number of at least 0, or is given twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() and len(part) < 16 for part in parts):
        message = f"--seeds must be whole numbers of at least 0 with commas between, e.g. 0,1,2, not '{text}'"
        raise ConfigError(problems=[Problem(message, "--seeds", text)])
    seeds = tuple(map(int, parts))
    if len(set(seeds)) < len(seeds):
        raise ConfigError(problems=[Problem(f"--seeds {text} names a seed twice", "--seeds", text)])
    return seeds


def train_seeds(config: RunConfig, out: Path, seeds: Sequence[int], train: Callable[[RunConfig, Path], int]) -> int:
    """Train a run for each seed, one after the other, and write the page after each.

    Args:
        config: All options; the seed is replaced.
        out: The folder of the runs.
        seeds: The seeds.
        train: Trains one run in a folder, and returns an exit status.

    Returns:
        The first exit status that is not 0; the same command goes on there.

    Raises:
        ConfigError: The folder holds something else.
    """
    from tandem.evaluation.seeds import is_seed_run, seed_folder  # noqa: PLC0415  (imports torch)

    strangers = [path.name for path in out.iterdir() if not is_seed_run(path)] if out.is_dir() else []
    if out.exists() and (not out.is_dir() or set(strangers) - {PAGE_NAME}):
        raise ConfigError(
            f"--out {out} holds other things than the runs of --seeds: give a new folder, e.g. {out / 'NAME'}.",
            option="--out",
        )
    for index, seed in enumerate(seeds):
        log.info("--- seed %d (%d of %d): %s", seed, index + 1, len(seeds), seed_folder(out, seed))
        training = dataclasses.replace(config.training, seed=seed)
        status = train(dataclasses.replace(config, training=training), seed_folder(out, seed))
        if status:
            return status
        write_seeds_page(out, seeds)
    return 0


def write_seeds_page(out: Path, seeds: Sequence[int]) -> Path:
    """Write what the runs say together, and say it in the log; runs that are not there yet are left out."""
    from tandem.evaluation.seeds import Which, run_numbers, seed_folder, seed_scores  # noqa: PLC0415  (imports torch)

    runs = []
    for seed in seeds:
        try:
            runs.append(run_numbers(seed_folder(out, seed)))
        except DataError:
            continue
    rows: dict[Which, list[SeedRow]] = {"last": [], "best": []}
    for score in seed_scores(runs):
        rows[score.which].append(score.row)
    what = "validation" if all(run.is_validated for run in runs) else "snapshot"
    tables = {
        f"Last {what}": (_LAST + _INTERVAL, rows["last"]),
        "Best checkpoint": (_BEST + _INTERVAL, rows["best"]),
    }
    shown = [(run.name, f"{run.name}/{PAGE_NAME}", _in_words(run.step, run.best_step)) for run in runs]
    page = out / PAGE_NAME
    remove_leftovers_of(page)
    atomic_write_text(page, seeds_page(out.resolve().name, shown, tables, missing=len(seeds) - len(runs)))
    if len(runs) == len(seeds):
        for row in rows["last"]:
            log.info("%s: %s (95 %% interval %s)", row.name, mean_text(row), interval_text(row))
    log.info("seeds: %s", page)
    return page


def _in_words(step: int, best_step: int | None) -> str:
    return f"(step {count(step)}" + (")" if best_step is None else f", best {count(best_step)})")
