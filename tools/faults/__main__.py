"""``python -m tools.faults``: the campaign of faults, which goes on where it was stopped."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tools.faults.campaign import Bounds, attempt, go_on
from tools.faults.ground import Ground
from tools.faults.kinds import ALL_KINDS
from tools.faults.log import put_into, table

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main(arguments: Sequence[str]) -> int:
    """Run the campaign; the status is 1 where a promise was broken."""
    names = [kind.name for kind in ALL_KINDS]
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), help="for the log and all that is tried")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long this call goes on")
    parser.add_argument("--tries", type=int, default=1000, help="of each kind, with those of earlier calls")
    parser.add_argument("--kinds", default=",".join(names), help="with commas between; by default all")
    parser.add_argument("--seed", type=int, default=0, help="decides, with its number, what a trial does")
    parser.add_argument("--again", metavar="KIND:NUMBER", help="make this trial alone, and show what its command said")
    parser.add_argument("--write-table", action="store_true", help="put the table into docs/reliability.md")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    chosen = [kind for kind in ALL_KINDS if kind.name in args.kinds.split(",")]
    if len(chosen) != len(args.kinds.split(",")):
        parser.error(f"--kinds are some of {', '.join(names)}")
    ground = Ground(args.folder / "ground")
    if args.again:
        name, _, number = args.again.partition(":")
        kind = next(kind for kind in ALL_KINDS if kind.name == name)
        entry = attempt(ground, kind, number=int(number), seed=args.seed)
        sys.stdout.write(ground.log.read_text(encoding="utf-8", errors="backslashreplace"))
        return int(bool(entry.wrong))
    entries = go_on(ground, chosen, args.folder / "trials.jsonl", Bounds(args.minutes, args.tries, args.seed))
    text = table(entries, {kind.name: kind.promise for kind in ALL_KINDS})
    sys.stdout.write(text)
    if args.write_table:
        put_into(PAGE, "faults", text)
    return int(any(entry.wrong for entry in entries))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
