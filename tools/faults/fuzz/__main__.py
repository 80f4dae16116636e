"""``python -m tools.faults.fuzz``: damaged and hostile files for every reader; it goes on where it was stopped."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tools.faults.fuzz.readers import ALL_READERS, Reader
from tools.faults.fuzz.watch import make_input, try_inputs
from tools.faults.ground import Ground
from tools.faults.log import put_into

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
BATCH = 2000
log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run the campaign; the status is 1 where an input did what none may."""
    names = [reader.name for reader in ALL_READERS]
    parser = argparse.ArgumentParser(prog="python -m tools.faults.fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), help="for the log, and what was found")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long this call goes on")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all readers, with those of earlier calls")
    parser.add_argument("--batch", type=int, default=BATCH, help="inputs of a reader between lines of the log")
    parser.add_argument("--readers", default=",".join(names), help="with commas between; by default all")
    parser.add_argument("--seed", type=int, default=0, help="decides, with its number, what an input is")
    parser.add_argument("--write-table", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    chosen = [reader for reader in ALL_READERS if reader.name in args.readers.split(",")]
    if len(chosen) != len(args.readers.split(",")):
        parser.error(f"--readers are some of {', '.join(names)}")
    ground = Ground(args.folder / "ground")
    path = args.folder / "inputs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    end = time.monotonic() + 60 * args.minutes
    seconds = {
        reader.name: sum(line["seconds"] for line in lines if line["reader"] == reader.name) for reader in chosen
    }
    while time.monotonic() < end and sum(line["tried"] for line in lines) < args.inputs:
        reader = min(chosen, key=lambda reader: seconds[reader.name])  # as long for each: the fast ones try more
        line = _go_on(ground, reader, lines, args)
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        lines.append(line)
        seconds[reader.name] += line["seconds"]
    text = _table(lines)
    sys.stdout.write(text)
    if args.write_table:
        put_into(PAGE, "fuzzing", text)
    return int(any(line["found"] for line in lines))


def _go_on(ground: Ground, reader: Reader, lines: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    begin = max((line["end"] for line in lines if line["reader"] == reader.name), default=0)
    begun = time.monotonic()
    batch = try_inputs(ground, reader, range(begin, begin + args.batch), args.seed)
    folder = args.folder / "found"
    for one in batch.found:
        folder.mkdir(exist_ok=True)
        (folder / f"{reader.name}-{one.number}").write_bytes(
            make_input(reader, reader.seeds(ground), one.number, args.seed)
        )
        log.info("%s %d: %s", reader.name, one.number, one.wrong)
    return {
        "reader": reader.name,
        "seed": args.seed,
        "end": begin + args.batch,
        "tried": batch.tried,
        "taken": batch.taken,
        "found": {str(one.number): one.wrong for one in batch.found},
        "seconds": round(time.monotonic() - begun, 2),
    }


def _table(lines: list[dict[str, Any]]) -> str:
    rows = ["| Reader | Inputs | Refused | Failures |", "|---|---|---|---|"]
    total = [0, 0, 0]
    for reader in ALL_READERS:
        own = [line for line in lines if line["reader"] == reader.name]
        tried, taken = sum(line["tried"] for line in own), sum(line["taken"] for line in own)
        found = sum(len(line["found"]) for line in own)
        total = [total[0] + tried, total[1] + tried - taken - found, total[2] + found]
        rows.append(f"| `{reader.name}` | {tried:,} | {tried - taken - found:,} | {found:,} |")
    rows.append(f"| all | {total[0]:,} | {total[1]:,} | {total[2]:,} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
