"""``tandem bench quality DATA``: what several settings make of the same data for the same time, measured."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tandem.commands.bench_quality_settings import SettingText, read_common, read_settings, resolve_settings
from tandem.commands.parser import Command, build
from tandem.commands.train_seeds import read_seeds
from tandem.config.data import DataConfig
from tandem.config.options import Options, names_of, option, same
from tandem.config.run import RunConfig
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValueRange, idle_feature_options
from tandem.errors import ConfigError, DataError, Problem
from tandem.evaluation.options import EvaluationOptions, Resizer
from tandem.report.text import joined
from tandem.targets import folder_problems
from tandem.threads import choose_threads

if TYPE_CHECKING:
    from tandem.bench.quality.bench import QualityBench
    from tandem.bench.quality.jobs import Measuring
    from tandem.bench.quality.plan import Budget
    from tandem.report.quality import QualityReport

SIGNAL_STATUS = 128

log = logging.getLogger(__name__)


def _read_paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, kw_only=True)
class QualityOptions(Options):
    """What is trained for how long, and where it goes."""

    data: Path | None = option(None, "dataset with the splits train and test or val", positional=True)
    presets: tuple[SettingText, ...] = option(
        (),
        "what is trained, with commas between: presets, methods, variants or YAML files, each with options of its own, "
        "e.g. tandem,bicyclegan:generator_filters=16,steps=5000,pix2pix",
        metavar="SETTINGS",
        read=read_settings,
    )
    common: tuple[tuple[str, str], ...] = option(
        (),
        "further options for all settings that have them, e.g. generator_filters=16,batch_size=4",
        metavar="OPTIONS",
        read=read_common,
    )
    models: tuple[Path, ...] = option(
        (), "runs or bundles that are trained already, with commas between: further rows", read=_read_paths
    )
    out: Path = option(Path("runs/quality"), "folder for everything")
    seeds: tuple[int, ...] = option((0, 1, 2), "each setting is trained with each of them", read=read_seeds)
    steps: int | None = option(None, "length of each run whose setting says none", at_least=1)
    cpu_minutes: float | None = option(
        None, "CPU time of each run: as many steps as fit, measured before and written into OUT/plan.json", above=0
    )
    gpu_minutes: float | None = option(None, "the same on a GPU, by the clock", above=0)
    plan: Path | None = option(None, "plan.json of another bench: the same settings for as many steps")
    timed_steps: int = option(20, "steps that are timed of each setting for a budget in minutes", at_least=4)
    split: Literal["test", "val"] | None = option(None, "the held-out split; by default test, else val")
    num_inputs: int = option(8, "inputs that the page shows with the outputs of all rows; 0 shows none", at_least=0)
    shown_samples: int = option(4, "samples of each of them", at_least=1)
    check: Path | None = option(
        None, "quality.json of the same bench on another machine: say which of its numbers lie in the intervals of OUT"
    )
    device: str = same(TrainingConfig, "device")
    threads: int | None = same(TrainingConfig, "threads")
    markdown: bool = option(False, "print the table as Markdown to standard output", one_way=True)
    json: bool = option(False, "print quality.json to standard output", one_way=True)

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        yield from folder_problems(self.out, "the bench")
        budgets = {"--steps": self.steps, "--cpu-minutes": self.cpu_minutes, "--gpu-minutes": self.gpu_minutes}
        given = [name for name, value in budgets.items() if value is not None]
        if len(given) > 1:
            yield f"{joined(given)} all say how long the runs are: give one of them"
        if self.check is not None:
            return
        if self.data is None:
            yield "DATA missing: the dataset on which everything is trained and measured"
        if self.plan is not None:
            extra = [*(["--presets"] if self.presets else []), *(["--common"] if self.common else []), *given]
            if extra:
                yield f"{joined([*extra, '--plan'])} both say what is trained: leave out one of them"
        if self.json and self.markdown:
            yield "--json and --markdown both go to standard output: give one of them"


@dataclass(frozen=True, kw_only=True)
class MeasuredOptions(Options):
    """How all models are measured."""

    metrics: tuple[str, ...] | None = same(EvaluationOptions, "metrics")
    num_samples: int = same(EvaluationOptions, "num_samples")
    resizer: Resizer = same(EvaluationOptions, "resizer")
    weights: Path | None = same(EvaluationOptions, "weights")
    features: Path | None = same(EvaluationOptions, "features")
    features_size: int | None = same(EvaluationOptions, "features_size")
    features_range: ValueRange = same(EvaluationOptions, "features_range")
    trust_torchscript: bool = same(EvaluationOptions, "trust_torchscript")

    def problems(self) -> Iterator[Problem | str]:
        """Say which files there are not."""
        if self.features is not None and not self.features.is_file():
            yield Problem(f"--features {self.features} is no file", "--features", self.features)
        if self.weights is not None and not self.weights.is_dir():
            yield Problem(f"--weights {self.weights} is no folder", "--weights", self.weights)
        given = {
            "features_size": self.features_size is not None,
            "features_range": self.features_range != "signed",
            "trust_torchscript": self.trust_torchscript,
        }
        yield from idle_feature_options(self.features, given, "features")


@dataclass(frozen=True, kw_only=True)
class SharedDataOptions(Options, DataConfig):
    """The options of the data."""

    def problems(self) -> Iterator[str]:
        """None: whether they go together is asked of the run of each setting, which may have others of its own."""
        yield from ()


COMMAND = Command(
    "bench quality",
    "Train several settings with several seeds on the same data for the same time, measure the last checkpoint of each "
    "on held-out images beside real ones, and write one page. Whatever is finished is not done again.",
    {
        "": QualityOptions,
        "the data, for all settings alike": SharedDataOptions,
        "how all models are measured": MeasuredOptions,
    },
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, train, measure, write the page and print the table."""
    values = COMMAND.values(arguments)
    own, _, measured = build(values, *COMMAND.groups.values())
    data_options = {name: values[name] for name in names_of(DataConfig) if name in values}
    if own.check is not None:
        return _check(own, values)
    from tandem.bench.quality.jobs import StoppedError  # noqa: PLC0415  (imports torch)
    from tandem.report.quality_page import quality_markdown  # noqa: PLC0415

    choose_threads(own.threads)
    bench = _bench(own, measured, data_options)
    try:
        report = bench.run()
    except StoppedError as stopped:
        log.info("%s: the same command goes on", stopped.signal.name)
        return SIGNAL_STATUS + stopped.signal
    _print(report, own)
    for line in quality_markdown(report).splitlines():
        log.info("%s", line)
    log.info("page: %s", own.out / "quality.html")
    return 1 if bench.failed else 0


def _print(report: "QualityReport", own: QualityOptions) -> None:
    from tandem.bench.quality.results import to_json  # noqa: PLC0415  (imports torch)
    from tandem.report.quality_page import quality_markdown  # noqa: PLC0415

    if own.json:
        sys.stdout.write(to_json(report))
    if own.markdown:
        sys.stdout.write(quality_markdown(report))


def _bench(own: QualityOptions, measured: MeasuredOptions, data_options: Mapping[str, Any]) -> "QualityBench":
    from tandem.bench.quality.bench import (  # noqa: PLC0415  (imports torch)
        Pictures,
        QualityBench,
        elsewhere_models,
    )
    from tandem.bench.quality.held_out import held_out_split  # noqa: PLC0415  (imports torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    assert own.data is not None
    device = choose_device(own.device)
    settings, budget = _settings(own, data_options, on_gpu=device.type != "cpu")
    models = elsewhere_models(own.models)
    direction = _of_all(settings, "direction", data_options)
    val_split = _of_all(settings, "val_split", data_options)
    layout = data_options.get("layout", DataConfig.layout)
    cache = own.out / "cache"
    return QualityBench(
        out=own.out,
        data=own.data,
        settings=settings,
        seeds=own.seeds,
        budget=budget,
        measuring=_measuring(
            own,
            measured,
            split=held_out_split(own.data, own.split, layout=layout, val_split=val_split, cache=cache),
            layout=layout,
            val_split=val_split,
            cache=str(cache),
            direction=direction,
            device=str(device),
        ),
        models=models,
        pictures=Pictures(num_inputs=own.num_inputs, num_samples=own.shown_samples),
        timed_steps=own.timed_steps,
    )


def _settings(
    own: QualityOptions, data_options: Mapping[str, Any], *, on_gpu: bool
) -> tuple[dict[str, RunConfig], "Budget"]:
    """What is trained and for how long: as it was given, or as a plan says that is there."""
    from tandem.bench.quality.plan import PLAN_NAME, Budget, read_plan, write_plan  # noqa: PLC0415  (start-up time)

    budget = _budget(own, on_gpu=on_gpu)
    if own.presets:
        settings = resolve_settings(own.presets, data=data_options, common=own.common)
        _require_lengths(settings, budget)
        return settings, budget
    there = own.out / PLAN_NAME
    if own.plan is None and not there.is_file():
        if own.models:
            return {}, budget
        raise ConfigError("give --presets, what is to be trained, or --models, what is to be measured.")
    if data_options or own.common:
        given = [f"--{name.replace('_', '-')}" for name in data_options] + (["--common"] if own.common else [])
        raise ConfigError(f"{joined(given)} has no effect on the settings of a plan: leave it out.")
    plan = read_plan(there if own.plan is None else own.plan)
    if not there.is_file():
        write_plan(plan, there)
    elif read_plan(there) != plan:
        raise ConfigError(f"{there} is another plan than {own.plan}: give a new --out.", option="--plan")
    if budget not in {Budget(), plan.budget}:
        raise ConfigError(f"{there} is for {plan.budget.in_words}, not for {budget.in_words}: give a new --out.")
    return {one.name: one.config() for one in plan.settings}, plan.budget


def _budget(own: QualityOptions, *, on_gpu: bool) -> "Budget":
    from tandem.bench.quality.plan import Budget  # noqa: PLC0415  (start-up time)

    if own.cpu_minutes is not None:
        if on_gpu:
            raise ConfigError("--cpu-minutes is for runs on the CPU: give --gpu-minutes, or --device cpu.")
        return Budget(kind="cpu-minutes", amount=own.cpu_minutes)
    if own.gpu_minutes is not None:
        if not on_gpu:
            raise ConfigError("--gpu-minutes is for runs on a GPU: give --cpu-minutes, or --device cuda.")
        return Budget(kind="gpu-minutes", amount=own.gpu_minutes)
    if own.steps is not None:
        return Budget(kind="steps", amount=own.steps)
    return Budget()


def _require_lengths(settings: Mapping[str, RunConfig], budget: "Budget") -> None:
    """Refuse settings that say no length where nothing else does, or one where the time decides."""
    from tandem.bench.quality.plan import has_length, says_length  # noqa: PLC0415  (start-up time)

    if budget.kind == "own":
        without = [name for name, config in settings.items() if not has_length(config)]
        if without:
            raise ConfigError(
                f"how long {joined(without)} trains is not said: give --steps or --cpu-minutes for all, or steps=N "
                "with the setting."
            )
    elif budget.kind != "steps":
        saying = [name for name, config in settings.items() if says_length(config)]
        if saying:
            raise ConfigError(
                f"{joined(saying)} says how long it trains, and so do the minutes of the bench: leave out one of them."
            )


def _of_all(settings: Mapping[str, RunConfig], name: str, data_options: Mapping[str, Any]) -> Any:
    """An option of the data that all settings must have alike."""
    found = {getattr(config.data, name): setting for setting, config in settings.items()}
    if len(found) > 1:
        flag = f"--{name.replace('_', '-')}"
        said = joined([f"{setting} has {'none' if value is None else value}" for value, setting in found.items()])
        raise ConfigError(f"all settings must have one {flag}, but {said}: give it for all of them.", option=flag)
    return next(iter(found), data_options.get(name, getattr(DataConfig, name)))


def _measuring(
    own: QualityOptions,
    measured: MeasuredOptions,
    *,
    split: str,
    layout: Any,
    val_split: float | None,
    cache: str,
    direction: Any,
    device: str,
) -> "Measuring":
    from tandem.bench.quality.jobs import Measuring  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.metrics import STANDARD_METRICS  # noqa: PLC0415

    return Measuring(
        data=str(own.data),
        split=split,
        layout=layout,
        val_split=val_split,
        cache=cache,
        direction=direction,
        device=device,
        threads=own.threads,
        metrics=None if measured.metrics is None else STANDARD_METRICS.parse(",".join(measured.metrics)),
        num_samples=measured.num_samples,
        features=None if measured.features is None else str(measured.features),
        features_size=measured.features_size,
        features_range=measured.features_range,
        trust_torchscript=measured.trust_torchscript,
        weights=None if measured.weights is None else str(measured.weights),
        resizer=measured.resizer,
    )


def _check(own: QualityOptions, values: Mapping[str, Any]) -> int:
    """Compare with the bench of another machine; the status is 1 where numbers are apart."""
    extra = [one.flag for one in COMMAND.options if one.field in values and one.field not in {"check", "out"}]
    if extra:
        raise ConfigError(f"{joined(extra)} has no effect with --check, which compares two finished benches.")
    from tandem.bench.quality.check import check_reports, summary  # noqa: PLC0415  (imports torch)
    from tandem.bench.quality.results import read_report  # noqa: PLC0415
    from tandem.report.comparison_page import markdown_table  # noqa: PLC0415
    from tandem.report.quality import QUALITY_NAME  # noqa: PLC0415

    assert own.check is not None
    cells, missing = check_reports(read_report(own.out / QUALITY_NAME), read_report(own.check))
    if not cells:
        raise DataError("the two benches share no number.", file=own.check)
    header = ("Row", "Number", "Here", "There", "Of there")
    sys.stdout.write(markdown_table(header, [one.cells for one in cells]))
    sys.stdout.write("".join(f"- {text}\n" for text in [*missing, summary(cells)]))
    return 1 if any(one.verdict == "apart" for one in cells) else 0
