"""What follows training by itself: the test split (or val) is sampled into the run."""

import logging
from pathlib import Path

from tandem.config.run import RunConfig
from tandem.data.shards.open import is_shards
from tandem.data.splits import HELD_OUT_AFTER_TRAINING, Split, first_split
from tandem.data.unpaired import find_inputs
from tandem.inference.jobs import split_jobs
from tandem.inference.sample_folder import sample_to_folder
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import load
from tandem.report.progress import TaskProgress
from tandem.training.inputs import find_run_data
from tandem.training.run_folder import RunFolder

NUM_SAMPLES = 5

log = logging.getLogger(__name__)


def sample_held_out(config: RunConfig, data: Path | str, out: Path, data_b: Path | None = None) -> None:
    """Sample the held-out split with the finished model of the run in `out`; without one, say so."""
    splits = find_run_data(config, data, data_b, cache=RunFolder(out).cache)
    split: Split | None = first_split(splits, HELD_OUT_AFTER_TRAINING)
    if split is None and data_b is None and not is_shards(data):
        split = find_inputs(Path(data)).get("test")
    if split is None:
        log.info("the dataset has neither a test nor a val split: nothing to sample")
        return
    translator = load(out, device=config.training.device)
    jobs = split_jobs(split, translator.directions)
    if not jobs:
        log.info("%s: nothing to sample %s", split.describe(), " and ".join(translator.directions))
        return
    number = NUM_SAMPLES if translator.latent_dim else None  # dropout alone makes samples that look alike
    cycle = len(translator.directions) == 2
    options = SamplingOptions(num_samples=number, seed=config.training.seed, cycle=cycle)
    log.info("%s", translator.manifest.preprocessing.describe(options.fit))
    with TaskProgress(f"sampling {split.name}", len(jobs), "inputs") as progress:
        page = sample_to_folder(translator, jobs, out / "samples", options, model=out, on_progress=progress.callback)
    log.info("samples: %s", page)
