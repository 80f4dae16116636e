"""A bench of quality: plan, train, measure, and the page of it all; every part that is finished is left alone."""

import dataclasses
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tandem.bench.header import make_header
from tandem.bench.quality.costs import COST_NAME, read_costs, whole_cost
from tandem.bench.quality.held_out import measured_splits
from tandem.bench.quality.jobs import (
    EvaluationJob,
    Job,
    Measuring,
    RealJob,
    SamplingJob,
    TimingJob,
    TrainingJob,
    run_job,
)
from tandem.bench.quality.plan import (
    PLAN_NAME,
    Budget,
    Plan,
    PlannedSetting,
    StepTimes,
    planned,
    read_plan,
    require_same,
    says_length,
    steps_within,
    timed_variants,
    together,
    write_plan,
)
from tandem.bench.quality.results import BenchRow, BenchRun, gather_rows, read_sample, to_json
from tandem.bench.quality.worker import DONE_NAME
from tandem.checkpoint.manifest import Manifest, read_manifest
from tandem.config.parse import parse_dataclass
from tandem.config.run import RunConfig, to_flat
from tandem.data.splits import Split
from tandem.errors import BundleError, ConfigError, DataError, TandemError, listed
from tandem.evaluation.compare import names_of
from tandem.evaluation.folder import PAGE_NAME as REPORT_PAGE
from tandem.evaluation.seed_groups import expand_seeds
from tandem.evaluation.seeds import seed_folder
from tandem.files import atomic_write_text
from tandem.foreign import load_json
from tandem.inference.jobs import unique_names
from tandem.inference.side_by_side import Request, sample_pages, sample_side_by_side
from tandem.names import file_stem
from tandem.report.links import links_of
from tandem.report.quality import QUALITY_NAME, REAL, QualityReport
from tandem.report.quality_page import quality_page
from tandem.report.side_by_side import SideBySide
from tandem.report.text import count, joined, number
from tandem.training.inputs import find_run_data, make_dataset
from tandem.training.run_folder import RunFolder
from tandem.version import __version__

PAGE_NAME = "quality.html"
_SAMPLE_NAME = "sample.json"
_MAX_DONE_BYTES = 2**20

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the models are shown with.

    Attributes:
        num_inputs: Inputs, the first ones of the held-out split; 0 shows none.
        num_samples: Samples of each, of models that make several.
    """

    num_inputs: int = 8
    num_samples: int = 4


@dataclass(frozen=True, kw_only=True)
class ElsewhereModel:
    """Models that were trained elsewhere, in one row.

    Attributes:
        name: Of the row.
        folders: By the name of the run.
    """

    name: str
    folders: Mapping[str, Path]


@dataclass
class QualityBench:
    """See the file's head.

    Attributes:
        out: The folder of the bench.
        data: The dataset.
        settings: What is trained, by name.
        seeds: Of the runs of each setting.
        budget: How long each setting trains.
        measuring: How all models are measured.
        models: Models that were trained elsewhere.
        pictures: What the models are shown with.
        timed_steps: Steps of the short run that tells how long steps take.
        failed: Sentences on the jobs that failed.
    """

    out: Path
    data: Path
    settings: Mapping[str, RunConfig]
    seeds: Sequence[int]
    budget: Budget
    measuring: Measuring
    models: Sequence[ElsewhereModel] = ()
    pictures: Pictures = field(default_factory=Pictures)
    timed_steps: int = 20
    failed: list[str] = field(default_factory=list)

    def run(self) -> QualityReport:
        """Do what there is to do, and write the page.

        Returns:
            What was found; `failed` says what could not be done.

        Raises:
            StoppedError: The user asked to stop; the same call goes on.
            TandemError: Something is wrong with the data, the models or the folder.
        """
        self._manifests = {path: read_manifest(path)[0] for model in self.models for path in model.folders.values()}
        self._fingerprint = self._data_fingerprint()
        plan = self._plan()
        total = len(self.seeds) * len(plan)
        for index, (seed, setting) in enumerate((seed, setting) for seed in self.seeds for setting in plan):
            log.info("--- %s, seed %d (run %d of %d)", setting.name, seed, index + 1, total)
            if self._train(setting, seed):
                folder = self._run_folder(setting.name, seed)
                self._measure(folder, folder / "evaluation", folder / _SAMPLE_NAME, f"{setting.name}, seed {seed}")
                self._write(plan)
        for model in self.models:
            for run, path in model.folders.items():
                folder = self._model_folder(model.name, run)
                log.info("--- %s", path)
                self._measure(path, folder / "evaluation", folder / _SAMPLE_NAME, str(path))
        self._measure_real()
        return self._write(plan, pictures=self._sample(plan))

    # --- plan

    def _plan(self) -> list[PlannedSetting]:
        """The settings with their lengths: as they were planned, or planned now."""
        path = self.out / PLAN_NAME
        plan = read_plan(path) if path.is_file() else Plan(budget=self.budget, settings=())
        if plan.budget != self.budget:
            raise ConfigError(
                f"{path} is for {plan.budget.in_words}, and not for {self.budget.in_words}: give a new --out, or the "
                "budget of the plan.",
                option="--out",
            )
        found = []
        images = {name: self._num_train(config) for name, config in self.settings.items()}
        for name, config in self.settings.items():
            num_train = images[name]
            known = plan.find(name)
            if known is None:
                known = self._planned(name, config, num_train)
                plan = dataclasses.replace(plan, settings=(*plan.settings, known))
                write_plan(plan, path)
            else:
                require_same(known, config, num_train=num_train, out=self.out)
            found.append(known)
            log.info("%s: %s steps", name, count(known.steps))
        return found

    def _planned(self, name: str, config: RunConfig, num_train: int) -> PlannedSetting:
        if self.budget.kind == "steps" and not says_length(config):
            return planned(name, config, int(self.budget.amount), num_train=num_train)
        if self.budget.kind in {"own", "steps"}:
            return planned(name, config, config.total_steps(num_train), num_train=num_train)
        times = together([(share, self._time(name, one, num_train)) for share, one in timed_variants(config)])
        seconds = 60 * self.budget.amount
        steps = steps_within(seconds, times, snapshot_every=config.training.snapshot_every)
        log.info(
            "%s: %s ms a step, %s s before the first one, %s s a snapshot",
            *(name, number(1000 * times.step), number(times.start), number(times.snapshot)),
        )
        if steps < 1:
            raise ConfigError(
                f"{self.budget.in_words} are not enough for {name}, which needs {times.start + times.snapshot:.0f} s "
                f"before its first step and after its last, and {times.step:.2g} s a step: give it more."
            )
        return planned(name, config, steps, num_train=num_train, times=times)

    def _time(self, name: str, config: RunConfig, num_train: int) -> StepTimes:
        """Train the beginning of a setting in a process of its own, and see what its steps take."""
        folder = self.out / "timing"
        shutil.rmtree(folder, ignore_errors=True)
        log.info("--- timing %d steps of %s", self.timed_steps, name)
        short = planned(name, config, self.timed_steps, num_train=num_train)
        every = {"log_every": max(1, self.timed_steps // 2), "snapshot_every": self.timed_steps}
        options = dict(short.options) | self._of_the_machine(self.seeds[0]) | every
        result = folder / "times.json"
        job = TimingJob(options=options, data=str(self.data), folder=str(folder / "run"), result=str(result))
        if run_job(job):
            raise ConfigError(f"{name} cannot be trained: see above.")
        times = parse_dataclass(StepTimes, json.loads(result.read_text(encoding="utf-8")), result.name)
        shutil.rmtree(folder)
        return times

    def _num_train(self, config: RunConfig) -> int:
        splits = find_run_data(config, self.data, cache=self.out / "cache")
        if "train" not in splits:
            raise DataError(
                f"{self.data} has no split 'train', only {joined([*splits])}: there is nothing to train on."
            )
        return len(make_dataset(config, splits["train"]))

    # --- training and measuring

    def _of_the_machine(self, seed: int) -> dict[str, Any]:
        return {"seed": seed, "device": self.measuring.device, "threads": self.measuring.threads}

    def _train(self, setting: PlannedSetting, seed: int) -> bool:
        """Train a run, or go on with it; whether it is whole."""
        folder = self._run_folder(setting.name, seed)
        if not _is_whole(folder, setting.steps):
            options = to_flat(setting.config(**self._of_the_machine(seed)))
            job = TrainingJob(options=options, data=str(self.data), folder=str(folder))
            self._do(job, f"training {setting.name} with seed {seed}")
        return _is_whole(folder, setting.steps)

    def _measure(self, model: Path, folder: Path, sample: Path, what: str) -> None:
        """Evaluate a model and time its samples, unless that is done."""
        weights = _weights_of(model)
        key = self._key(weights)
        if not _is_done(folder, key):
            job = EvaluationJob(model=str(model), folder=str(folder), key=key, measuring=self.measuring)
            self._do(job, f"evaluating {what}")
        if (known := _sample_of(sample)) is None or known != weights:
            self._do(SamplingJob(model=str(model), result=str(sample), measuring=self.measuring), f"timing {what}")

    def _measure_real(self) -> None:
        if "train" not in self._splits():
            return
        channels = self._out_channels()
        for seed in self.seeds:
            folder, key = self._real_folder(seed), self._key(f"real/{seed}/{channels}")
            if not _is_done(folder, key):
                log.info("--- %s, draw %d", REAL, seed)
                job = RealJob(
                    seed=seed,
                    channels=channels,
                    folder=str(folder),
                    key=key,
                    measuring=self.measuring,
                )
                self._do(job, f"measuring {REAL}, draw {seed}")

    def _out_channels(self) -> int:
        if self.settings:
            return next(iter(self.settings.values())).data.output_channels
        return next(iter(self._manifests.values())).preprocessing.output_channels

    def _do(self, job: Job, what: str) -> None:
        if status := run_job(job):
            self.failed.append(f"{what} failed (exit status {status})")
            log.warning("%s: see above; the other runs go on", self.failed[-1])

    def _key(self, of_what: str) -> str:
        """What an evaluation depends on, as a hash."""
        values = dataclasses.asdict(self.measuring)
        for name in ("data", "device", "threads", "features", "weights"):
            del values[name]
        features = self.measuring.features
        if features is not None:
            values["features"] = hashlib.sha256(Path(features).read_bytes()).hexdigest()
        told = [__version__, of_what, values, self._fingerprint]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def _data_fingerprint(self) -> list[str]:
        return [split.fingerprint() for _, split in sorted(self._splits().items())]

    def _splits(self) -> Mapping[str, Split]:
        """The held-out split and the training images, where there are any, as evaluations read them."""
        splits = measured_splits(self.measuring)
        return {name: splits[name] for name in (self.measuring.split, "train") if name in splits}

    # --- where everything is

    def _run_folder(self, setting: str, seed: int) -> Path:
        return seed_folder(self.out / "settings" / folder_name(setting), seed)

    def _model_folder(self, model: str, run: str) -> Path:
        return self.out / "models" / folder_name(model) / folder_name(run)

    def _real_folder(self, seed: int) -> Path:
        return seed_folder(self.out / "real", seed)

    # --- what it shows

    def _rows(self, plan: Sequence[PlannedSetting]) -> Iterator[BenchRow]:
        """All rows with the runs that have been measured."""
        for one in plan:
            folders = {seed: self._run_folder(one.name, seed) for seed in self.seeds}
            runs = [
                BenchRun(name=folder.name, report=folder / "evaluation", run=folder, sample=folder / _SAMPLE_NAME)
                for folder in folders.values()
                if _is_whole(folder, one.steps) and _is_done(folder / "evaluation", self._key(_weights_of(folder)))
            ]
            yield BenchRow(name=one.name, kind="setting", method=str(one.options["method"]), steps=one.steps, runs=runs)
        for model in self.models:
            manifests = {run: self._manifests[path] for run, path in model.folders.items()}
            found = []
            for run, path in model.folders.items():
                folder = self._model_folder(model.name, run)
                if _is_done(folder / "evaluation", self._key(_weights_of(path))):
                    is_bench_run = (path / COST_NAME).is_file()
                    found.append(
                        BenchRun(
                            name=run,
                            report=folder / "evaluation",
                            run=path if is_bench_run else None,
                            sample=folder / _SAMPLE_NAME,
                        )
                    )
            steps = {_steps_of(manifest) for manifest in manifests.values()}
            yield BenchRow(
                name=model.name,
                kind="model",
                method=joined(sorted({manifest.method for manifest in manifests.values()})),
                steps=steps.pop() if len(steps) == 1 else None,
                runs=found,
            )
        folders = [self._real_folder(seed) for seed in self.seeds]
        keys = [self._key(f"real/{seed}/{self._out_channels()}") for seed in self.seeds]
        real = [
            BenchRun(name=folder.name, report=folder)
            for folder, key in zip(folders, keys, strict=True)
            if _is_done(folder, key) and _was_measured(folder)
        ]
        yield BenchRow(name=REAL, kind="real", method="", steps=None, runs=real)

    def _write(self, plan: Sequence[PlannedSetting], *, pictures: SideBySide | None = None) -> QualityReport:
        rows = [row for row in self._rows(plan) if row.runs]
        found, differs_in = gather_rows(rows)
        device = torch.device(self.measuring.device)
        report = QualityReport(
            machine=make_header(device),
            conditions=self._conditions(),
            rows=found,
            differs_in=differs_in,
            on_gpu=device.type != "cpu",
            warnings=tuple(self._warnings(plan, rows)),
        )
        page = self.out / PAGE_NAME
        pages = {f"{row.name}, {run.name}": run.report / REPORT_PAGE for row in rows for run in row.runs}
        if pictures is not None:
            pages |= {f"Samples of {name}": path for name, path in sample_pages([*self._shown(plan)], self.out).items()}
        atomic_write_text(self.out / QUALITY_NAME, to_json(report))
        links = links_of(page, {"Numbers": self.out / QUALITY_NAME, "Plan": self.out / PLAN_NAME} | pages)
        atomic_write_text(page, quality_page(report, pictures=pictures, links=links))
        return report

    def _conditions(self) -> dict[str, Any]:
        measuring, splits = self.measuring, self._splits()
        return {
            "data": self.data.name,
            "held-out split": f"{measuring.split}, {count(len(splits[measuring.split]))} inputs",
            "training images": len(splits["train"]) if "train" in splits else None,
            "direction": measuring.direction,
            "length": self.budget.in_words,
            "seeds": ", ".join(map(str, self.seeds)),
            "samples of an input": measuring.num_samples,
            "feature network": None if measuring.features is None else Path(measuring.features).name,
        }

    def _warnings(self, plan: Sequence[PlannedSetting], rows: Sequence[BenchRow]) -> Iterator[str]:
        yield from (f"{text}." for text in self.failed)
        runs = {row.name: len(row.runs) for row in rows}
        missing = [one.name for one in plan if runs.get(one.name, 0) < len(self.seeds)]
        if missing:
            yield f"Not all runs of {joined(missing)} are there yet; the same command goes on."
        splits = self._splits()
        direction = self.measuring.direction
        if "train" in splits:
            there, wanted = len(splits["train"].outputs(direction)), len(splits[self.measuring.split].inputs(direction))
            if there < wanted:
                yield (
                    f"There are {count(there)} {REAL}, fewer than the {count(wanted)} first samples of a model: a "
                    "Fréchet distance of fewer images is larger, so that the excess is too small."
                )

    def _shown(self, plan: Sequence[PlannedSetting]) -> dict[str, Path]:
        """The models that are shown, by name: of each row that of its first run."""
        first = self.seeds[0]
        found = {one.name: self._run_folder(one.name, first) for one in plan}
        found = {name: folder for name, folder in found.items() if (folder / "model").is_dir()}
        return found | {model.name: next(iter(model.folders.values())) for model in self.models}

    def _sample(self, plan: Sequence[PlannedSetting]) -> SideBySide | None:
        shown = self._shown(plan)
        if not self.pictures.num_inputs or not shown:
            return None
        request = Request(
            inputs=(self.data,),
            num_inputs=self.pictures.num_inputs,
            num_samples=self.pictures.num_samples,
            direction=self.measuring.direction,
            split=self.measuring.split,
            device=self.measuring.device,
        )
        try:
            return sample_side_by_side(shown, self.out, request)
        except TandemError as error:
            self.failed.append(f"the pictures could not be made: {error}")
            return None


def folder_name(name: str) -> str:
    """The folder of a setting or a model: its name, without what only shells and paths understand."""
    return file_stem(re.sub(r"[^\w.+=-]+", "-", name))


def elsewhere_models(paths: Sequence[Path]) -> list[ElsewhereModel]:
    """The rows of models that were trained elsewhere; of a training with several seeds all runs in one row.

    Raises:
        BundleError: Some are no models.
    """
    problems, rows = [], []
    names = unique_names(names_of(paths)) if paths else []
    for name, path in zip(names, paths, strict=True):
        runs = expand_seeds([path])
        folders = dict(zip(names_of(runs), runs, strict=True))
        for folder in runs:
            try:
                read_manifest(folder)
            except TandemError as error:
                problems.append(str(error))
        rows.append(ElsewhereModel(name=name, folders=folders))
    if problems:
        raise BundleError(f"--models names what are no models:\n{listed(problems)}")
    return rows


def _is_whole(folder: Path, steps: int) -> bool:
    """Whether a run has been trained to its end, and its bundle is that of its end."""
    try:
        cost = whole_cost(read_costs(folder / COST_NAME), steps)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / COST_NAME} cannot be read ({error}): remove the run.", file=folder) from error
    if cost is None or not RunFolder(folder).model.is_dir():
        return False
    return _steps_of(read_manifest(folder)[0]) == steps


def _steps_of(manifest: Manifest) -> int | None:
    steps = manifest.training.get("steps")
    return steps if isinstance(steps, int) else None


def _weights_of(model: Path) -> str:
    weights = read_manifest(model)[0].weights
    assert weights is not None
    return weights.sha256


def _sample_of(path: Path) -> str | None:
    """The weights whose samples were timed."""
    try:
        sample = read_sample(path)
    except (OSError, ValueError):
        return None
    return None if sample is None else sample.weights_sha256


def _done(folder: Path) -> dict[str, Any]:
    try:
        values = load_json(folder / DONE_NAME, _MAX_DONE_BYTES)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _is_done(folder: Path, key: str) -> bool:
    return _done(folder).get("key") == key


def _was_measured(folder: Path) -> bool:
    return _done(folder).get("measured") is True
