"""``tandem bench eval``: features of many image files, from the disk to rows, against the bare feature network."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    report = _measure(args)
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else _text(report))
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


def _measure(args: "Namespace") -> dict[str, Any]:
    from tandem.bench.features import load_network, time_features, write_pictures  # noqa: PLC0415  (start-up time)
    from tandem.bench.header import make_header, spread  # noqa: PLC0415
    from tandem.evaluation.read_ahead import suitable_workers  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.report.progress import TaskProgress  # noqa: PLC0415
    from tandem.training.device import peak_memory_mb  # noqa: PLC0415

    device = choose_device(args.device)
    weights = None if args.weights is None else Path(args.weights)
    extractor = load_network(args.network, weights, device=device, resizer=args.resizer)
    num_workers = suitable_workers(device) if args.num_workers is None else args.num_workers
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        images = Path(folder) / "images"
        images.mkdir()
        cases = write_pictures(images, args.images, size=args.size, image_format=args.format)
        with TaskProgress("features", None, "images") as progress:
            times = time_features(
                extractor,
                cases,
                cache=Path(folder) / "cache",
                rounds=args.rounds,
                batch_size=args.batch_size,
                num_workers=num_workers,
                on_images=progress.callback,
            )
    return {
        "header": make_header(device),
        "network": args.network,
        "weights": "random" if weights is None else extractor.spec.weights.sha256,
        "resizer": args.resizer,
        "images": args.images,
        "size": args.size,
        "format": args.format,
        "batch_size": args.batch_size,
        "num_workers": num_workers,
        "rounds": args.rounds,
        "images_per_round": times.images,
        "forward_seconds": spread(times.forward),
        "pipeline_seconds": spread(times.pipeline),
        "ratio": spread(times.ratios),
        "cpu_ratio": spread(times.cpu_ratios) if device.type == "cpu" else None,
        "peak_memory_mb": peak_memory_mb(device),
    }


def _text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    files = "PNG and JPEG" if report["format"] == "both" else report["format"].upper()
    count = report["images_per_round"]
    weights = "random weights" if report["weights"] == "random" else f"the weights {report['weights'][:8]}"
    threads = f"{report['num_workers']} thread{'' if report['num_workers'] == 1 else 's'}"

    def line(name: str, seconds: dict[str, Any]) -> str:
        rate = 1000 * seconds["median"] / count
        return f"{name:<13} {rate:.2f} ms an image ({count / seconds['median']:.0f} images/s); {spread_text(seconds)}"

    def ratio(values: dict[str, Any]) -> str:
        low, high = values["quartiles"]
        return f"{values['median']:.3f} ({low:.3f} to {high:.3f})"

    lines = [
        header_line(report["header"]),
        f"{report['network']} with {weights}, resizer {report['resizer']}, batch {report['batch_size']}; "
        f"{report['size']} px, {files}, {threads} reading ahead; {report['rounds']} rounds of {count} images",
        line("bare forward", report["forward_seconds"]),
        line("files to rows", report["pipeline_seconds"]),
        f"ratio         {ratio(report['ratio'])}; 1 where all but the forward overlaps",
    ]
    if report["cpu_ratio"] is not None:
        lines.append(f"in CPU time   {ratio(report['cpu_ratio'])}; what counts where other programs run beside it")
    if report["peak_memory_mb"] is not None:
        lines.append(f"peak memory   {report['peak_memory_mb']:.0f} MB")
    return "\n".join(lines) + "\n"
