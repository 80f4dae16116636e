"""What ``import tandem`` offers beyond loading a model: training as the command trains, from Python."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.commands.parser import Command
from tandem.commands.train import TrainOptions, resolve
from tandem.config.options import Option, names_of, refuse
from tandem.config.run import METHODS, RunConfig
from tandem.config.values import MisfitError, convert
from tandem.data.shards.open import as_location
from tandem.errors import ConfigError, Problem, nearest
from tandem.report.records import HealthRecord, Record, TrainRecord, ValidationRecord, read_metrics
from tandem.report.text import count, number
from tandem.training.run_folder import RunFolder

if TYPE_CHECKING:  # start-up time
    from tandem.inference.translator import Translator
    from tandem.training.trainer import Callback, Ending, TrainResult


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A run that `train` has trained, or found finished.

    Attributes:
        path: Its folder.
        ending: Why it ended: ``finished``, ``patience``, ``callback`` or ``signal``.
        step: Optimiser steps done.
        total_steps: Those of the whole run.
        already_done: Whether nothing was left to do.
        records: All lines of its log.
    """

    path: Path
    ending: "Ending"
    step: int
    total_steps: int
    already_done: bool
    records: Sequence[Record]

    @property
    def losses(self) -> Mapping[str, float]:
        """The newest mean of every loss term; empty before the first line of the log."""
        return next((one.losses for one in reversed(self.records) if isinstance(one, TrainRecord)), {})

    @property
    def validation(self) -> Mapping[str, float | None]:
        """The numbers of the newest validation; empty without one, None for a number that is not finite."""
        return next((one.numbers for one in reversed(self.records) if isinstance(one, ValidationRecord)), {})

    @property
    def health(self) -> Mapping[str, Any]:
        """What the newest snapshot has measured on the fixed inputs; empty without one."""
        found = (one.measured.as_json() for one in reversed(self.records) if isinstance(one, HealthRecord))
        return next(found, {})

    @property
    def page(self) -> Path:
        """The page that shows the run."""
        return RunFolder(self.path).page

    def load(self, **how: Any) -> "Translator":
        """Load its newest model; `how` as for `tandem.load`.

        Raises:
            BundleError: There is no model yet.
            ConfigError: An option is out of range.
        """
        from tandem.inference.translator import load  # noqa: PLC0415  (only where it is wanted)

        return load(self.path, **how)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {'not finite' if value is None else number(value)}"
            for name, value in (self.validation or self.losses).items()
        )
        steps = f"{self.ending} at step {count(self.step)} of {count(self.total_steps)}"
        return f"<TrainedRun {self.path}: {steps}{'; ' + shown if shown else ''}>"


def train(
    data: str | Path,
    out: str | Path,
    *,
    callback: "Callback | None" = None,
    quiet: bool = False,
    **options: Any,
) -> TrainedRun:
    """Train a model as ``tandem train`` does, or continue the run in `out`.

    Args:
        data: Dataset folder, folder or URL of shards, or folder of domain A.
        out: Folder of the run.
        callback: Called with every new line of the log, a `tandem.report.records.TrainRecord`, `HealthRecord` (of a
            snapshot) or `ValidationRecord`. If it returns True or ``"stop"`` the run saves and ends; if it raises, the
            run does so before the exception comes out of this call.
        quiet: Show no progress.
        options: The options of the command by their names with ``_`` for ``-``: ``method="pix2pix"``, ``preset=``,
            ``config=`` (a file, several, or a `RunConfig`, which says all), ``data_b=``, ``size=64``, ``steps=``,
            ``validate_every=``, ``patience=``, ``log="csv"`` and so on. What the command takes as a text of several
            values may be a tuple or a list: ``size=(256, 512)``, ``range_b=(-1000, 3000)``,
            ``validate_metrics=["l1", "ssim"]``. The test images are not sampled at the end, as the command does.

    Returns:
        The run: where it is, how it ended, its numbers; ``.load()`` gives its model.

    Raises:
        ConfigError: An option does not exist, is out of range or contradicts another; all of them are named, as on the
            command line.
        DataError: Something is wrong with the data; found before the first step.
        CheckpointError: `out` holds a run with other options or other data, or is in use.
        NonFiniteError: A loss or gradient is not finite; the last good state is on the disk.
        MissingExtraError: A package that an option needs is not installed.
    """
    from tandem.evaluation.validation import make_validator  # noqa: PLC0415  (imports torch)
    from tandem.training.trainer import train as train_run  # noqa: PLC0415

    if isinstance(options.get("config"), RunConfig):
        config, data_b = options.pop("config"), options.pop("data_b", None)
        if options:
            raise ConfigError(
                f"{', '.join(options)} beside config=RunConfig(...): that says all options already. Make it with "
                "dataclasses.replace, or give options alone.",
                option=next(iter(options)),
            )
    else:
        config, data_b = _resolved(data, out, options)
    result = train_run(
        config,
        as_location(data),
        Path(out),
        data_b=data_b,
        make_validator=make_validator,
        callback=callback,
        quiet=quiet,
    )
    return _trained(Path(out), result)


def _resolved(data: str | Path, out: str | Path, options: dict[str, Any]) -> tuple[RunConfig, Path | None]:
    """The options of a run from those of the command, and the folder of domain B."""
    own = {name: options.pop(name) for name in names_of(TrainOptions) if name in options}
    if isinstance(own.get("config"), str | Path):
        own["config"] = [own["config"]]
    if "config" in own:
        own["config"] = tuple(map(Path, own["config"]))
    if own.get("data_b") is not None:
        own["data_b"] = Path(own["data_b"])
    if own.pop("print_config", False):
        raise ConfigError("print_config has no effect here: see tandem.config.run.to_flat.", option="--print-config")
    if own.pop("resume", None) is not None:
        raise ConfigError("resume has no effect here: the same call goes on with its run.", option="--resume")
    if own.pop("seeds", None) is not None:
        raise ConfigError("seeds has no effect here: call train for each seed, e.g. seed=1 with its own folder.")
    given = TrainOptions(**own, data=str(data), out=Path(out))
    request, config = resolve(given, lambda taken, _: _given(taken, options))
    return config, request.data_b


def _trained(out: Path, result: "TrainResult") -> TrainedRun:
    return TrainedRun(
        path=out,
        ending=result.ending,
        step=result.step,
        total_steps=result.total_steps,
        already_done=result.already_done,
        records=tuple(read_metrics(RunFolder(out).metrics)),
    )


def _given(taken: Command, options: Mapping[str, Any]) -> dict[str, Any]:
    """The values of options, checked.

    Raises:
        ConfigError: A name does not exist, or a value is not of its option's type; all of them are named.
    """
    known = {one.field: one for one in taken.options}
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in options.items():
        if name not in known:
            problems.append(_unknown(name, known))
            continue
        try:
            found[name] = _value(known[name], value)
        except MisfitError:
            problems.append(known[name].misfit(value))
        except ConfigError as error:
            problems += error.problems
    refuse(problems)
    return found


def _value(one: Option, value: Any) -> Any:
    if one.declared.read is not None and isinstance(value, str):
        return one.declared.read(value)
    value = _plain(value)
    if isinstance(value, tuple | list) and one.declared.joins is not None:
        value = _as_text(value, one.declared.joins)
    return convert(one.hint, str(value) if isinstance(value, Path) else value)


def _plain(value: Any) -> Any:
    """NumPy's numbers, which are none to isinstance, and arrays as Python's own."""
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "dtype") else value


def _as_text(values: Sequence[Any], between: str) -> str:
    """Several values as the command line has them: ``(32, 48)`` is ``32x48``; groups of them have ``;`` between them.

    Raises:
        MisfitError: They are no numbers or words.
    """
    plain = [_plain(value) for value in values]
    if plain and all(isinstance(value, tuple | list) for value in plain):
        return ";".join(_as_text(value, between) for value in plain)
    if not plain or not all(isinstance(value, int | float | str) and not isinstance(value, bool) for value in plain):
        raise MisfitError
    return between.join(map(str, plain))


def _unknown(name: str, known: Mapping[str, Option]) -> Problem:
    others = [method for method, cls in METHODS.items() if name in {field.name for field in dataclasses.fields(cls)}]
    hint = f"; the method {others[0]} has one" if others else nearest(name, known)
    return Problem(f"there is no option {name}{'' if others else '.'}{hint}", name, None)
