"""``tandem doctor DATA|RUN``: what is wrong with a dataset, or with a run, and what mends it."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tandem.commands.doctor_data import look_at_data
from tandem.commands.parser import Command
from tandem.commands.train import RecipeOptions, resolve_beside
from tandem.config.options import option
from tandem.data.examine.finding import Finding
from tandem.errors import ConfigError, Problem
from tandem.files import atomic_write_text, owned, scratch_folder
from tandem.names import public_location
from tandem.report.findings_page import Section, findings_page
from tandem.report.rendering import Notice
from tandem.targets import folder_problems

SOMETHING_TO_MEND = 3
"""Exit status."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(RecipeOptions):
    """What is looked at, and what is written; beside a dataset all other options are those of training."""

    out: Path | None = option(None, "folder for a page", metavar="FOLDER")
    json: bool = option(False, "print JSON to standard output", one_way=True)
    measure: bool = option(
        False,
        "do some steps of a training with these options, and say how much memory and time a run takes",
        one_way=True,
    )

    def problems(self) -> Iterator[Problem]:
        """Say why no page can be written there."""
        if self.out is not None:
            yield from folder_problems(self.out, "the page")


DESCRIPTION = (
    "Look deeply at a dataset and say what is wrong with it: shifted, flipped or exchanged pairs, duplicates within "
    "and between splits, images of one colour, what is padded or stretched. Give the options with which you mean to "
    "train. 'tandem data check' is the short look before training, at what would stop it; this one takes longer and "
    "finds what would spoil it. Of a run it asks: is z ignored, has a discriminator won, are colours inverted, is "
    "there a grid, is the best checkpoint the first, do steps wait for data? The exit status is 0, or 3 if there is "
    "something to mend."
)
COMMAND = Command("doctor", DESCRIPTION, {"": DoctorOptions})


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        subject: What was looked at.
        findings: What is remarkable, warnings first.
        sections: Of the page, below the findings.
        stats: (label, value, note) for the top of the page.
        numbers: What the JSON holds beside the findings.
    """

    subject: str
    findings: Sequence[Finding]
    sections: Sequence[Section] = ()
    stats: Sequence[tuple[str, str, str]] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_warnings(self) -> bool:
        """Whether there is something to mend."""
        return any(one.weight == "warning" for one in self.findings)


def main(arguments: Sequence[str]) -> int:
    """Look at a dataset or a run, say what was found, and write the page."""
    named = next((word for word in arguments if is_run(Path(word))), None)
    if named is not None:
        from tandem.commands.doctor_run import look_at_run  # noqa: PLC0415  (imports torch)

        (own,) = COMMAND.parse(arguments)
        require_of_run(own)
        diagnosis = Diagnosis(named, *look_at_run(Path(named)))
        say(diagnosis, own)
        return SOMETHING_TO_MEND if diagnosis.has_warnings else 0
    own, config = resolve_beside(arguments, COMMAND, DoctorOptions)
    if own.data is None:
        raise ConfigError("DATA missing. Usage: tandem doctor DATA|RUN [--out FOLDER] [--json] [options of training]")
    with scratch_folder() as cache:
        found = look_at_data(own.data, own.data_b, config, cache=cache, measure=own.measure)
    diagnosis = Diagnosis(f"{public_location(own.data)}, method {config.objective.method}", *found)
    say(diagnosis, own)
    return SOMETHING_TO_MEND if diagnosis.has_warnings else 0


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a run."""
    return (path / "config.yaml").is_file() and (path / "metrics.jsonl").is_file()


def require_of_run(own: DoctorOptions) -> None:
    """Refuse what a run has decided.

    Raises:
        ConfigError: Such an option is given.
    """
    given = {"--preset": own.preset, "--method": own.method, "--config": own.config or None}
    given |= {"DATA_B": own.data_b, "--measure": own.measure or None}
    if extra := [name for name, value in given.items() if value is not None]:
        raise ConfigError(f"{', '.join(extra)} beside a run, which has its own options: leave it out.", option=extra[0])


def say(diagnosis: Diagnosis, own: DoctorOptions) -> None:
    """Say what was found: as lines, as JSON, as a page."""
    for one in diagnosis.findings:
        log.log(logging.WARNING if one.weight == "warning" else logging.INFO, "%s", one.describe())
    if not diagnosis.findings:
        log.info("nothing to mend was found in %s", diagnosis.subject)
    if own.json:
        content = {
            "subject": diagnosis.subject,
            "findings": [one.as_json() for one in diagnosis.findings],
            **diagnosis.numbers,
        }
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
    if own.out is not None:
        with owned(own.out, "writing a page to"):
            atomic_write_text(own.out / "index.html", page(diagnosis))
        log.info("page: %s", own.out / "index.html")


def page(diagnosis: Diagnosis) -> str:
    """The page of what was found."""
    good = Notice("Nothing to mend was found.", "good")
    notices = [
        Notice(f"{one.text} {one.advice}".strip(), "warning" if one.weight == "warning" else "info")
        for one in diagnosis.findings
    ]
    named = [
        Section(one.text.rstrip("."), header=("Where",), rows=[(item,) for item in one.items[:50]])
        for one in diagnosis.findings
        if one.items
    ]
    sections = [Section("What was found", notices=notices or [good]), *diagnosis.sections, *named]
    return findings_page("Doctor", f"{diagnosis.subject}.", sections, stats=diagnosis.stats)
