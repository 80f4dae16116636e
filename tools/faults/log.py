"""The log of a campaign: one line of JSON for each trial, from which a stopped campaign goes on, and its table."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One trial.

    Attributes:
        kind: The kind of fault.
        number: Which trial of its kind it is, from 0; it and the seed decide what is done.
        seed: Of the campaign.
        did: What was done.
        wrong: How the promise was broken; empty where it was kept.
        is_possible: Whether the system allowed it.
        seconds: What it took.
    """

    kind: str
    number: int
    seed: int
    did: str
    wrong: str
    is_possible: bool
    seconds: float


def read_log(path: Path) -> list[Entry]:
    """What is in a log; a last line that was not written whole is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Entry(**json.loads(line)) for line in lines if line.endswith("\n")]


def append(path: Path, entry: Entry) -> None:
    """Add a trial; a line before it that was not written whole is cut off."""
    with path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")


def table(entries: Iterable[Entry], promises: Mapping[str, str]) -> str:
    """Promise, kind, tries and failures as Markdown, in the order of the promises."""
    entries = list(entries)
    lines = ["| Promise | Kind of fault | Tries | Failures |", "|---|---|---|---|"]
    for kind, promise in promises.items():
        tried = [entry for entry in entries if entry.kind == kind and entry.is_possible]
        lines.append(f"| {promise} | `{kind}` | {len(tried):,} | {sum(bool(entry.wrong) for entry in tried):,} |")
    return "\n".join(lines) + "\n"


def put_into(page: Path, name: str, text: str) -> None:
    """Put a table between the comments of its name in a document."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(before + begin + text + end + rest.partition(end)[2], encoding="utf-8")
