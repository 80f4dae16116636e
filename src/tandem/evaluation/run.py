"""Evaluating: measure what the planned metrics need, summarise, and say where the numbers mislead."""

import dataclasses
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tandem.evaluation.cautions import cautions, near_duplicate_cautions
from tandem.evaluation.gather import gather
from tandem.evaluation.measurements import Thumbnails
from tandem.evaluation.options import EvaluationOptions
from tandem.evaluation.plan import Found, Planned, distinct, plan, real_pairs
from tandem.evaluation.ranking import rank_inputs
from tandem.evaluation.read_ahead import suitable_workers
from tandem.evaluation.situation import Situation
from tandem.evaluation.tools import Tools
from tandem.report.scores import EvaluationReport
from tandem.training.process_group import ProcessGroup
from tandem.version import __version__

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many images are done, and how many there are."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Attributes:
        report: The numbers.
        ranking: For each way of ordering the inputs, which come first.
    """

    report: EvaluationReport
    ranking: Mapping[str, tuple[int, ...]]


def evaluate(
    situation: Situation,
    options: EvaluationOptions,
    *,
    device: torch.device,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation:
    """`evaluate_together` in this process alone, with the networks on `device`."""
    process_group = ProcessGroup(device=device)
    found = evaluate_together(situation, options, process_group=process_group, cache=cache, on_progress=on_progress)
    assert found is not None
    return found


def evaluate_together(
    situation: Situation,
    options: EvaluationOptions,
    *,
    process_group: ProcessGroup,
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Evaluation | None:
    """Compute metrics; several processes share the measuring, and give what one alone gives.

    Args:
        situation: What is measured.
        options: How.
        process_group: Where the networks of the metrics run, and the processes that share the work; all must call this.
        cache: The folder of rows that are known already; an interrupted evaluation goes on from there.
        on_progress: See `Progress`.

    Returns:
        The outcome; None in all but the main process.

    Raises:
        ConfigError: A metric that was asked for cannot be computed, or the processes were asked for different things.
        WeightsError: Weights of a metric that was asked for are missing.
        DataError: An image cannot be read or compared.
        PeerError: Another process is gone.
    """
    process_group.require_same("what is evaluated", _identity(situation, options))
    # One process downloads.
    planned, left_out = process_group.main_first(
        lambda: plan(
            situation, options, lambda download: Tools(options, device=process_group.device, may_download=download)
        )
    )
    on_cases, on_reals, on_pairs = (
        distinct(one for metric in planned for one in wanted(metric))
        for wanted in (lambda m: m.on_cases, lambda m: m.on_reals, lambda m: m.on_pairs)
    )
    only = {one.spec: metric.only for metric in planned if metric.only is not None for one in metric.on_cases}

    def told(what: str) -> Callable[[int, int], None]:
        return lambda done, total: None if on_progress is None else on_progress(what, done, total)

    num_workers = suitable_workers(process_group.device) if options.num_workers is None else options.num_workers
    common: dict[str, Any] = {
        "cache": cache,
        "batch_size": options.batch_size,
        "num_workers": num_workers,
        "process_group": process_group,
    }
    thumbnails = [Thumbnails()] if situation.train else []
    reals = gather(situation.reals, [*on_reals, *thumbnails], on_progress=told("real images"), **common)
    seen = gather(situation.train, thumbnails, on_progress=told("training images"), **common)
    rows = gather(situation.cases, on_cases, only=only, on_progress=told("generated images"), **common)
    pairs = real_pairs(situation, options) if on_pairs else []
    found = Found(rows, reals, gather(pairs, on_pairs, on_progress=told("real pairs"), **common))

    def sum_up() -> Evaluation:
        results = []
        for number, metric in enumerate(planned):
            results.append(metric.summarise(found))
            told("metrics")(number + 1, len(planned))
        warnings = cautions(situation)
        if thumbnails:
            warnings += near_duplicate_cautions(reals[thumbnails[0].spec], seen[thumbnails[0].spec])
        per_input = _per_input(planned, rows, only)
        report = _report(situation, options, process_group.device, per_input)
        report = dataclasses.replace(report, results=tuple(results), left_out=tuple(left_out), warnings=tuple(warnings))
        return Evaluation(report, rank_inputs(per_input))

    return process_group.on_main(sum_up)


def _report(
    situation: Situation, options: EvaluationOptions, device: torch.device, per_input: Mapping[str, np.ndarray]
) -> EvaluationReport:
    """The report but for its results: what was measured and how."""
    return EvaluationReport(
        versions={
            "tandem": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        subject=situation.subject,
        data=situation.data | situation.hashes_of_content() | {"names": [case.name for case in situation.cases]},
        settings=_settings(options, situation, device),
        results=(),
        left_out=(),
        warnings=(),
        per_input={name: [None if np.isnan(v) else float(v) for v in values] for name, values in per_input.items()},
    )


def _identity(situation: Situation, options: EvaluationOptions) -> dict[str, Any]:
    """What the processes must agree on, as JSON; the content of the files is left to the cache's keys."""
    return {
        "version": __version__,
        "options": {name: str(value) for name, value in dataclasses.asdict(options).items()},
        "weights": situation.subject.get("weights_sha256"),
        "inputs": len(situation.cases),
        "real images": len(situation.reals),
        "training images": len(situation.train),
    }


_PER_INPUT = {
    "l1": np.mean,
    "psnr": np.mean,
    "ssim": np.mean,
    "ms-ssim": np.mean,
    "lpips": np.mean,
    "best-of-n": np.min,
    "lpips-diversity": np.mean,
    "l1-diversity": np.mean,
    "cycle": np.mean,
}


def _per_input(
    planned: Sequence[Planned], rows: Mapping[str, np.ndarray], only: Mapping[str, frozenset[int]]
) -> dict[str, np.ndarray]:
    """One number of each input, NaN where it was not measured or is not finite."""
    found = {}
    total = max((len(one) for one in rows.values()), default=0)
    for metric in planned:
        if metric.metric not in _PER_INPUT:
            continue
        spec = metric.on_cases[0].spec
        values = np.full(total, np.nan)
        places = sorted(only[spec]) if spec in only else list(range(total))
        values[places] = _PER_INPUT[metric.metric](rows[spec], axis=1)
        values[~np.isfinite(values)] = np.nan
        found[metric.metric] = values
    return found


def _settings(options: EvaluationOptions, situation: Situation, device: torch.device) -> dict[str, Any]:
    """Options that numbers depend on; networks and their hashes are said by each metric."""
    kept = ("seed", "fit", "batch_size", "resizer", "palette", "palette_distance")
    values = {name: value for name, value in dataclasses.asdict(options).items() if name in kept}
    return values | {"num_samples": situation.num_samples, "device": device.type}
