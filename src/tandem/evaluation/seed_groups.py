"""Which of several runs are one setting with several seeds, and their numbers as tables beside each other."""

import dataclasses
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.config.yaml import read_file
from tandem.errors import DataError
from tandem.evaluation.compare import compare_reports, names_of
from tandem.evaluation.estimates import student_estimate
from tandem.evaluation.folder import read_reports
from tandem.evaluation.seeds import RunNumbers, SeedScore, Which, is_seed_run, run_numbers, seed_scores
from tandem.inference.jobs import unique_names
from tandem.report.scores import REPORT_NAME
from tandem.report.seeds_page import SeedTable, seed_table
from tandem.training.resume import MAY_CHANGE_ON_RESUME
from tandem.training.run_folder import RunFolder

_MEASURES = frozenset({"keep_best", "patience"})
_OF_NO_INFLUENCE = {"seed"} | {
    name
    for name in MAY_CHANGE_ON_RESUME - {"steps", "epochs"} - _MEASURES
    if not name.startswith("validate_")  # these decide what the numbers are
}
"""Options in which runs of one setting may differ."""
_INTERVAL = "Mean ± standard deviation over the runs; in brackets the 95 % interval of the mean, by Student's t."
_TABLES: Mapping[Which, tuple[str, str]] = {
    "last": ("Over seeds: last measurement", "The last measurement of each run."),
    "best": (
        "Over seeds: best checkpoint",
        "At the best checkpoint of each run, which was chosen by such a number: that flatters it.",
    ),
    "evaluation": ("Over seeds: evaluation", "What tandem evaluate measured of each run."),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in their seed alone.

    Attributes:
        name: What they are called together.
        runs: By name, their folders.
    """

    name: str
    runs: Mapping[str, Path]


def expand_seeds(paths: Sequence[Path]) -> list[Path]:
    """The same paths, with the runs of a training with several seeds in place of its folder.

    The page that lies beside such runs is left out: a shell's ``runs/x/*`` names it as well.
    """
    found: list[Path] = []
    for path in paths:
        inside = [] if (path / "config.yaml").is_file() else _seed_runs(path)
        if path.name == "index.html" and path.is_file() and _seed_runs(path.parent):
            continue
        found += inside or [path]
    return found


def _seed_runs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(filter(is_seed_run, folder.iterdir()), key=lambda path: int(path.name.rpartition("-")[2]))


def group_seeds(paths: Sequence[Path]) -> list[SeedGroup]:
    """The runs among some paths by their setting; none if no setting has several seeds.

    Raises:
        ConfigError: The options of a run cannot be read.
    """
    settings: list[tuple[str, dict[object, Path]]] = []
    for path in paths:
        file = RunFolder(path).config
        if not file.is_file():
            continue
        values = read_file(file)
        key = json.dumps({k: v for k, v in values.items() if k not in _OF_NO_INFLUENCE}, sort_keys=True, default=str)
        seed = values.get("seed")
        group = next((runs for known, runs in settings if known == key and seed not in runs), None)
        if group is None:
            settings.append((key, group := {}))
        group[seed] = path
    groups = [list(runs.values()) for _, runs in settings]
    if not any(len(runs) > 1 for runs in groups):
        return []
    names = unique_names([_name_of(runs) for runs in groups])
    return [
        SeedGroup(name, dict(zip(names_of(runs), runs, strict=True))) for name, runs in zip(names, groups, strict=True)
    ]


def _name_of(runs: Sequence[Path]) -> str:
    folders = [path.resolve() for path in runs]
    if len({folder.parent for folder in folders}) == 1 and all(map(is_seed_run, folders)):
        return folders[0].parent.name if len(folders) > 1 else f"{folders[0].parent.name}/{folders[0].name}"
    if len(folders) == 1:
        return folders[0].name
    first, last = min(folder.name for folder in folders), max(folder.name for folder in folders)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = "".join(sign for sign, _ in same).rstrip("-_. ")
    return shared.removesuffix("seed").rstrip("-_. ") or folders[0].name


def seed_tables(groups: Sequence[SeedGroup]) -> tuple[list[SeedTable], list[str]]:
    """The tables of all numbers, a column for each setting, and what must not be compared in them.

    Args:
        groups: The settings; runs in which nothing was measured yet are left out and named in the log.

    Raises:
        DataError: A log or a report is damaged.
    """
    numbers = {group.name: _measured(group) for group in groups}
    found = {name: seed_scores(runs) for name, runs in numbers.items()}
    for group in groups:
        found[group.name] += _evaluated(group)
    tables = []
    for which, (title, lead) in _TABLES.items():
        rows = {name: [score.row for score in scores if score.which == which] for name, scores in found.items()}
        if any(rows.values()):
            tables.append(seed_table(title, f"{lead} {_INTERVAL}", rows))
    return tables, _differences(numbers)


def _measured(group: SeedGroup) -> list[RunNumbers]:
    runs = []
    for name, path in group.runs.items():
        try:
            runs.append(dataclasses.replace(run_numbers(path), name=name))
        except DataError as error:
            log.warning("%s", error)
    return runs


def _evaluated(group: SeedGroup) -> list[SeedScore]:
    """The numbers of the reports of a setting, as far as runs have any and they may be compared."""
    folders = {name: path / "evaluation" for name, path in group.runs.items()}
    reports = {name: read_reports(folder) for name, folder in folders.items() if (folder / REPORT_NAME).is_file()}
    found = []
    for one in compare_reports(reports):
        if not one.differs_in:
            values = {name: score.value for name, score in one.scores.items()}
            estimate = student_estimate(list(values.values()))
            found.append(SeedScore(one.name, "evaluation", one.better, values, estimate))
    return found


def _differences(numbers: Mapping[str, Sequence[RunNumbers]]) -> list[str]:
    """Sentences on validations that were not made under the same conditions."""
    conditions = [run.conditions for runs in numbers.values() for run in runs]
    # The samples of a run follow from its seed, which is what varies on purpose.
    keys = dict.fromkeys(key for one in conditions for key in one if key != "seed")
    differing = [key for key in keys if len({json.dumps(one.get(key), sort_keys=True) for one in conditions}) > 1]
    if not differing:
        return []
    return [f"The validations of these runs differ in {', '.join(differing)}: their numbers must not be compared."]
