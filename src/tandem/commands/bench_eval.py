"""``tandem bench eval``: features of many image files, from the disk to rows, against the bare feature network."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tandem.commands.parser import make_parser, parse
from tandem.errors import ConfigError

if TYPE_CHECKING:
    from jsonargparse import Namespace

_LEAST = {"images": 1, "size": 32, "batch_size": 1, "rounds": 1}


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench eval",
        "Measure the features that FID needs, from image files to rows in a cache, against the bare forward of the "
        "network on as many images. Both run in turn in one process, on images made for it in a temporary folder.",
    )
    parser.add_argument("--images", type=int, default=5000, help="how many images; the rounds share them")
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--format", type=Literal["png", "jpeg", "both"], default="both", help="of the files")
    parser.add_argument("--batch-size", type=int, default=16, help="images of a forward, as for tandem evaluate")
    parser.add_argument("--num-workers", type=int, help="threads that read files ahead, as for tandem evaluate")
    parser.add_argument("--network", type=Literal["inception", "mobilenet"], default="inception")
    parser.add_argument("--weights", type=str, help="its weights; random ones unless given, which are as fast")
    parser.add_argument("--resizer", type=Literal["clean", "torch-fidelity", "pytorch-fid"], default="clean")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians and quartiles are over these")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    _check(args)
    from tandem.bench.features_report import features_text, measure_features  # noqa: PLC0415  (start-up time)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    report = measure_features(
        images=args.images,
        size=args.size,
        image_format=args.format,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        network=args.network,
        weights=None if args.weights is None else Path(args.weights),
        resizer=args.resizer,
        rounds=args.rounds,
        device=choose_device(args.device),
    )
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else features_text(report))
    return 0


def _check(args: "Namespace") -> None:
    problems = [
        f"--{name.replace('_', '-')} must be at least {least}, not {args[name]}."
        for name, least in _LEAST.items()
        if args[name] < least
    ]
    if args.num_workers is not None and args.num_workers < 0:
        problems.append(f"--num-workers must be at least 0, not {args.num_workers}.")
    if not problems and args.images < args.rounds * args.batch_size:
        problems.append(
            f"{args.rounds} rounds of at least a batch of {args.batch_size} need {args.rounds * args.batch_size} "
            f"images, not {args.images}: raise --images, or lower --rounds or --batch-size."
        )
    if problems:
        raise ConfigError("\n".join(problems))
