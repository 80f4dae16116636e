"""``python -m benchmarks.shallows MODEL DATA``: the waters that samples show, beside those that are right.

`DATA` is what ``tandem data shallows`` has drawn. Each depth of its split test has latents of its own. A sample shows
the water that explains it best (`tandem.data.synthetic.shallows.classify_water`).
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import at_least, make_parser, reporting, write


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, sample, judge, print."""
    parser = make_parser("shallows", "Judge a model of depth to reflectance by known physics.")
    parser.add_argument("model", type=Path, help="folder of a run or a bundle")
    parser.add_argument("data", type=Path, help="folder that tandem data shallows has drawn")
    parser.add_argument("--samples", type=at_least(1), default=16, help="samples of each depth")
    args = parser.parse_args(arguments)
    import tandem  # noqa: PLC0415  (--help without torch)
    from tandem.bench.header import header_line, make_header  # noqa: PLC0415
    from tandem.data.discover import find_splits  # noqa: PLC0415
    from tandem.data.synthetic.shallows import WATERS, classify_water  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415

    device = choose_device(args.device)
    translator = tandem.load(args.model, device=args.device)
    pairs = find_splits(args.data)["test"].pairs
    shown: list[int] = []
    off: list[float] = []
    found: list[int] = []
    with TaskProgress("judging", len(pairs), "depths") as progress:
        for number, pair in enumerate(pairs, 1):
            depth = tandem.read_image(str(pair.file_a))
            samples = translator(depth, args.samples, seed=number, output="values")
            answers = [classify_water(depth, one) for one in samples]
            shown += [water for water, _ in answers]
            off += [error for _, error in answers]
            found.append(len({water for water, _ in answers}))
            progress.callback(number, len(pairs))
    shares = {water.name: shown.count(index) / len(shown) for index, water in enumerate(WATERS)}
    apart = sum(abs(shares[water.name] - water.weight) for water in WATERS) / 2
    ideal = sum(1 - (1 - water.weight) ** args.samples for water in WATERS)
    numbers = {"found": statistics.mean(found), "ideal": ideal, "total_variation": apart, "off": statistics.median(off)}
    header = make_header(device)
    text = (
        f"{header_line(header)}\n{numbers['found']:.2f} of {len(WATERS)} waters among {args.samples} samples (an ideal "
        f"sampler: {ideal:.2f}), total variation {apart:.3f}, reflectance off by {numbers['off']:.4f} (median)\n"
        + ", ".join(f"{water.name} {shares[water.name]:.3f} ({water.weight:g})" for water in WATERS)
        + "\n"
    )
    write({"header": header, "shares": shares, **numbers}, text, as_json=args.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
