"""``tandem compare RUN…``: evaluations, seeds and pictures of several models side by side, as a page and as a table."""

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.manifest import MANIFEST_NAME
from tandem.commands.parser import Command, build
from tandem.config.data import Direction
from tandem.config.options import REQUIRED, Options, option, options_of, refuse, same
from tandem.config.training import TrainingConfig
from tandem.data.fit import Fit
from tandem.errors import ConfigError, DataError, Problem, listed
from tandem.files import atomic_write_text, owned
from tandem.inference.runtime import Runtime
from tandem.inference.sampling import SamplingOptions
from tandem.report.comparison_page import ComparedScore, Comparison, comparison_markdown, comparison_page
from tandem.report.links import links_of
from tandem.report.scores import REPORT_NAME
from tandem.report.side_by_side import SideBySide
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """What is compared, and where the comparison goes."""

    runs: tuple[Path, ...] = option(
        REQUIRED,
        "runs, folders of a training with several seeds, models, folders that tandem evaluate wrote, or report.json",
        positional=True,
    )
    out: Path = option(Path("comparison"), "folder for comparison.html and comparison.md")

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        yield from folder_problems(
            self.out, "the comparison", instead="comparison.html and comparison.md are written into it"
        )


@dataclass(frozen=True, kw_only=True)
class PictureOptions(Options):
    """What all models translate, to be looked at."""

    inputs: tuple[Path, ...] = option(
        (), "image files, folders of images or dataset folders, which all models translate: their outputs side by side"
    )
    num_inputs: int = option(12, "how many inputs are shown, the first ones; of each direction", at_least=1)
    num_samples: int | None = option(
        None,
        "outputs of each input by each model that makes several; by default 3 with a latent, else 1",
        at_least=1,
    )
    seed: int = same(SamplingOptions, "seed")
    fit: Fit = same(SamplingOptions, "fit")
    direction: Direction | None = option(
        None, "the direction of the translation; by default all that a model can on a dataset of two domains"
    )
    pairs: bool = option(False, "input files are side-by-side pairs A | B", one_way=True)
    split: str | None = option(
        None, "split of a dataset folder; by default test, else val, else train", metavar="{train,val,test}"
    )
    device: str = same(TrainingConfig, "device")


COMMAND = Command(
    "compare",
    "Put models side by side: their evaluations, their seeds, and with --inputs what they make of the same inputs.",
    {"": CompareOptions, "the same inputs through all models": PictureOptions, "how the models are run": Runtime},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, compare, write the page and the table, and print the table."""
    values = COMMAND.values(arguments)
    own, pictures, runtime = build(values, *COMMAND.groups.values())
    refuse(_without_inputs(values))
    from tandem.evaluation.seed_groups import expand_seeds, group_seeds, seed_tables  # noqa: PLC0415  (imports torch)

    paths = expand_seeds(own.runs)
    unmeasured = _unmeasured(paths)
    _require_several(paths, unmeasured)
    groups = group_seeds(paths)
    if unmeasured and not pictures.inputs and not groups:
        raise DataError(_how_to_measure(unmeasured), file=unmeasured[0])
    side_by_side, links = None, {}
    page = own.out / "comparison.html"
    if pictures.inputs:
        side_by_side, links = _pictures(paths, own.out, pictures, runtime)
        if not side_by_side.num_inputs:
            raise DataError(f"no model could translate anything:\n{listed(side_by_side.problems)}")
    measured = [path for path in paths if (_report_of(path) / REPORT_NAME).is_file() or not side_by_side]
    names, compared, evaluations = _evaluations([path for path in measured if path not in unmeasured])
    tables, differences = seed_tables(groups)
    if not (compared or tables or side_by_side):
        raise DataError(_how_to_measure(unmeasured), file=unmeasured[0])
    content = Comparison(names, compared, tables, differences, side_by_side)
    table = comparison_markdown(content)
    with owned(own.out, "writing a comparison to"):
        atomic_write_text(page, comparison_page(content, links=links_of(page, evaluations | links)))
        atomic_write_text(own.out / "comparison.md", table)
    for line in table.splitlines():
        log.info("%s", line)
    if unmeasured and not side_by_side:
        log.info("%s", _how_to_measure(unmeasured))
    log.info("page: %s", page)
    if side_by_side and side_by_side.problems:
        raise DataError(f"these models did not translate everything:\n{listed(side_by_side.problems)}")
    return 0


def _evaluations(paths: Sequence[Path]) -> tuple[list[str], list[ComparedScore], dict[str, Path]]:
    """Names, numbers and pages of some evaluations; nothing where there are fewer than two."""
    from tandem.evaluation.compare import compare_reports, names_of  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import PAGE_NAME, read_reports  # noqa: PLC0415

    if len(paths) < 2:
        return [], [], {}
    reports = [_report_of(path) for path in paths]
    names = names_of(reports)
    compared = compare_reports({name: read_reports(path) for name, path in zip(names, reports, strict=True)})
    folders = [path if path.is_dir() else path.parent for path in reports]
    return names, compared, {name: folder / PAGE_NAME for name, folder in zip(names, folders, strict=True)}


def _pictures(
    paths: Sequence[Path], out: Path, options: PictureOptions, runtime: Runtime
) -> tuple[SideBySide, dict[str, Path]]:
    """What all models make of the same inputs, and the pages of their samples by what a link says."""
    from tandem.evaluation.compare import names_of  # noqa: PLC0415  (imports torch)
    from tandem.inference.side_by_side import Request, sample_pages, sample_side_by_side  # noqa: PLC0415

    names = names_of(paths)
    request = Request(**{one.field: getattr(options, one.field) for one in options_of(PictureOptions)}, runtime=runtime)
    shown = sample_side_by_side(dict(zip(names, paths, strict=True)), out, request)
    return shown, {f"Samples of {name}": page for name, page in sample_pages(names, out).items()}


def _without_inputs(values: Mapping[str, object]) -> Iterator[Problem]:
    """Options of the pictures that were given without what is to be translated."""
    if "inputs" not in values:
        for one in (*options_of(PictureOptions), *options_of(Runtime)):
            if one.field in values:
                yield Problem(f"{one.flag} has no effect without --inputs: it is about pictures", one.flag)


def _require_several(paths: Sequence[Path], unmeasured: Sequence[Path]) -> None:
    if len(paths) < 2:
        how = f"; {_how_to_measure(unmeasured)}" if unmeasured else ""
        raise ConfigError(
            f"a comparison needs at least two runs, models or evaluations, not {len(paths)}: add another{how}"
        )


def _report_of(path: Path) -> Path:
    """Where the report of a run lies; anything else is a report itself."""
    inner = path / "evaluation"
    return inner if not (path / REPORT_NAME).is_file() and (inner / REPORT_NAME).is_file() else path


def _unmeasured(paths: Sequence[Path]) -> list[Path]:
    """The runs and models among some paths that have no report."""
    return [
        path
        for path in paths
        if not (_report_of(path) / REPORT_NAME).is_file()
        and any((path / name).is_file() for name in ("config.yaml", MANIFEST_NAME, f"model/{MANIFEST_NAME}"))
    ]


def _how_to_measure(paths: Sequence[Path]) -> str:
    commands = listed([shlex.join(["tandem", "evaluate", str(path), "DATA"]) for path in paths])
    return f"these have not been measured, DATA being the dataset to measure them on:\n{commands}"
