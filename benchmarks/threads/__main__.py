"""``python -m benchmarks.threads``: what it costs and saves that CPU threads sleep while they wait for each other."""

import sys
from collections.abc import Sequence

from benchmarks.command import at_least, make_parser, reporting, write


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser(
        "threads",
        "Measure training steps or samples a second on the CPU with OpenMP's threads as they wait by default, "
        "spinning, and as Tandem has them wait, asleep. Each way has a process of its own; they run in turn, alone and "
        "beside busy processes.",
        has_device=False,
    )
    parser.add_argument("--work", choices=["train", "sample"], default="train", help="what is measured")
    parser.add_argument("--size", type=at_least(32), default=64, help="side of the images")
    parser.add_argument("--filters", type=at_least(1), default=16, help="width of the networks")
    parser.add_argument("--threads", type=at_least(1), help="threads of each process; PyTorch's choice unless given")
    parser.add_argument("--beside", type=at_least(0), default=2, help="busy processes beside which it is measured too")
    parser.add_argument("--seconds", type=at_least(1), default=5, help="of each way in each round")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="rounds; medians and quartiles are over these")
    parser.add_argument(
        "--settings", nargs="*", default=[], metavar="NAME=VALUE", help="further ways, as settings of OpenMP"
    )
    args = parser.parse_args(arguments)
    from benchmarks.threads.report import measure_waiting, waiting_text  # noqa: PLC0415  (--help without torch)

    report = measure_waiting(
        work=args.work,
        size=args.size,
        filters=args.filters,
        threads=args.threads,
        beside=args.beside,
        seconds=args.seconds,
        rounds=args.rounds,
        settings=args.settings,
    )
    write(report, waiting_text(report), as_json=args.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
