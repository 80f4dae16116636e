"""``python -m benchmarks.features``: features of many image files, from the disk to rows, against the bare network."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import at_least, make_parser, reporting, write
from tandem.errors import ConfigError


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser(
        "features",
        "Measure the features that FID needs, from image files to rows in a cache, against the bare forward of the "
        "network on as many images. Both run in turn in one process, on images made for it in a temporary folder.",
    )
    parser.add_argument("--images", type=at_least(1), default=5000, help="how many images; the rounds share them")
    parser.add_argument("--size", type=at_least(32), default=256, help="side of the images")
    parser.add_argument("--format", choices=["png", "jpeg", "both"], default="both", help="of the files")
    parser.add_argument(
        "--batch-size", type=at_least(1), default=16, help="images of a forward, as for tandem evaluate"
    )
    parser.add_argument("--num-workers", type=at_least(0), help="threads that read files ahead, as for tandem evaluate")
    parser.add_argument(
        "--network", choices=["inception", "mobilenet"], default="inception", help="the feature network"
    )
    parser.add_argument("--weights", type=Path, help="its weights; random ones unless given, which are as fast")
    parser.add_argument(
        "--resizer", choices=["clean", "torch-fidelity", "pytorch-fid"], default="clean", help="as for tandem evaluate"
    )
    parser.add_argument("--rounds", type=at_least(1), default=5, help="rounds; medians and quartiles are over these")
    args = parser.parse_args(arguments)
    _check(args)
    from benchmarks.features.report import features_text, measure_features  # noqa: PLC0415  (--help without torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415

    report = measure_features(
        images=args.images,
        size=args.size,
        image_format=args.format,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        network=args.network,
        weights=args.weights,
        resizer=args.resizer,
        rounds=args.rounds,
        device=choose_device(args.device),
    )
    write(report, features_text(report), as_json=args.json)


def _check(args: Namespace) -> None:
    least = args.rounds * args.batch_size
    if args.images < least:
        raise ConfigError(
            f"{args.rounds} rounds of at least a batch of {args.batch_size} need {least} "
            f"images, not {args.images}: raise --images, or lower --rounds or --batch-size."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
