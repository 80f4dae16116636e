"""``python -m benchmarks.profile``: where the time of a training step goes, and a trace of it."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.command import METHODS, add_training_options, at_least, make_parser, reporting, training_options, write
from tandem.bench.options import STEP_OPTIONS
from tandem.config.presets import preset_options
from tandem.config.run import RunConfig, from_flat

OPTIONS = tuple(name for name in STEP_OPTIONS if name != "acceleration")
"""Of a step that runs kernel by kernel, because a captured one is one operator."""


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, profile, print the table or JSON."""
    parser = make_parser(
        "profile",
        "Profile the training step, Tandem's and the published order where there is a baseline: milliseconds and calls "
        "by groups of operators, kernel by kernel.",
    )
    parser.add_argument("--method", choices=METHODS, default="bicyclegan", help="what is trained")
    parser.add_argument("--preset", help="profile the training step of this preset instead")
    parser.add_argument("--size", type=at_least(1), default=256, help="side of the images; not with --preset")
    parser.add_argument("--batch-size", type=at_least(1), help="images per step; not with --preset")
    parser.add_argument("--filters", type=at_least(1), default=64, help="width of all networks; not with --preset")
    parser.add_argument("--trace", type=Path, help="a file for the trace, which chrome://tracing and Perfetto show")
    add_training_options(parser, OPTIONS)
    args = parser.parse_args(arguments)
    from benchmarks.profile.groups import profile_table, profile_variants  # noqa: PLC0415  (--help without torch)
    from tandem.bench.header import header_line, make_header  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415

    device = choose_device(args.device)
    profiles = profile_variants(_config(args), device, trace=args.trace)
    header = make_header(device)
    report = {"header": header, "profiles": {name: asdict(profile) for name, profile in profiles.items()}}
    write(report, f"{header_line(header)}\n\n{profile_table(profiles)}", as_json=args.json)


def _config(args: Namespace) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (--help without torch)

    options = training_options(args, OPTIONS)
    if args.preset is not None:
        return from_flat(preset_options(args.preset) | options)
    return bench_config(args.method, size=args.size, filters=args.filters, batch_size=args.batch_size, **options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
