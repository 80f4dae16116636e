"""``tandem bench data [DATA]``: how fast images reach the training step, and for how long it waits for them."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tandem.commands.parser import make_parser, parse
from tandem.config.presets import find_preset, preset_options
from tandem.config.run import RunConfig, from_flat
from tandem.data.shards.open import as_location
from tandem.report.progress import TaskProgress

GENERATED_PAIRS = 64


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, print."""
    parser = make_parser(
        "bench data",
        "Measure the loader: pairs a second from the files, from decoded images in memory and on the device, in turn, "
        "beside what the training step needs; and for which share of the time steps wait for batches.",
    )
    parser.add_argument("data", nargs="?", help="dataset, or folder of domain A; without one pictures are generated")
    parser.add_argument("data_b", nargs="?", help="folder of domain B")
    parser.add_argument(
        "--method", type=Literal["bicyclegan", "cyclegan", "pix2pix"], default="bicyclegan", help="what is trained"
    )
    parser.add_argument("--preset", help="take the options of this preset instead of those of the method")
    parser.add_argument("--size", type=int, default=256, help="side of the training images; not with --preset")
    parser.add_argument("--batch-size", type=int, help="images per step; that of the method or preset if not given")
    parser.add_argument("--filters", type=int, default=64, help="width of all networks; not with --preset")
    parser.add_argument("--num-workers", type=int, help="processes that load images; as in training if not given")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--steps", type=int, default=4, help="training steps of a round; 0 measures the loader alone")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    args = parse(parser, arguments)
    report = _measure(
        _config(args),
        None if args.data is None else as_location(args.data),
        None if args.data_b is None else Path(args.data_b),
        rounds=args.rounds,
        steps=args.steps,
        device_name=args.device,
    )
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if args.json else _text(report))
    return 0


def _config(args: Any) -> RunConfig:
    from tandem.bench.train_step import bench_config  # noqa: PLC0415  (imports torch)

    given = {"num_workers": args.num_workers, "batch_size": args.batch_size}
    changes = {name: value for name, value in given.items() if value is not None}
    if args.preset is not None:
        return from_flat(preset_options(find_preset(args.preset).name) | changes)
    config = bench_config(method=args.method, size=args.size, filters=args.filters, batch_size=args.batch_size)
    return replace(config, training=replace(config.training, **changes))


def _measure(
    config: RunConfig, data: Path | str | None, data_b: Path | None, *, rounds: int, steps: int, device_name: str
) -> dict[str, Any]:
    from tandem.bench.header import make_header, spread  # noqa: PLC0415  (start-up time)
    from tandem.bench.loading import make_routes, time_processor, time_routes, time_training  # noqa: PLC0415
    from tandem.networks.device import choose_device  # noqa: PLC0415
    from tandem.training.device import configure_backends  # noqa: PLC0415

    device = choose_device(device_name)
    configure_backends(device, deterministic=False)
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        inputs = _open(config, data or _generated(config, Path(folder)), data_b, Path(folder) / "cache")
        with TaskProgress("loading", None, "rounds") as progress:
            routes = make_routes(config, inputs.train, device)
            processor = time_processor(routes, config, device, rounds=rounds)
            loaded = time_routes(routes, config, device, rounds=rounds, on_round=progress.callback)
        alone, trained = None, {}
        if steps:
            with TaskProgress("training", None, "rounds") as progress:
                alone, trained = time_training(
                    routes, config, device, rounds=rounds, steps=steps, on_round=progress.callback
                )
    return {
        "header": make_header(device),
        "data": "generated pictures" if data is None else str(data),
        "images": len(inputs.train),
        "decoded_mb": inputs.report.loaded_bytes / 1e6,
        "method": config.objective.method,
        "size": config.data.size,
        "batch_size": config.training.batch_size,
        "num_workers": routes["files"].num_workers,
        "rounds": rounds,
        "steps": steps,
        "pair_seconds": {name: spread(timing) for name, timing in loaded.items()},
        "pair_processor_seconds": {name: spread(timing) for name, timing in processor.items()},
        "train_step_seconds": None if alone is None else spread(alone),
        "train_step_seconds_with_loading": {name: spread(found.steps) for name, found in trained.items()},
        "waiting": {name: spread(found.shares) for name, found in trained.items()},
    }


def _generated(config: RunConfig, folder: Path) -> Path:
    from tandem.data.synthetic import write_dataset  # noqa: PLC0415  (start-up time)

    with TaskProgress("drawing", None, "pairs") as progress:
        return write_dataset(
            folder / "data",
            size=max(config.data.crop_size),
            num_train=GENERATED_PAIRS,
            num_val=1,
            num_test=1,
            layout="side_by_side" if config.objective.paired else "unpaired",
            on_progress=progress.callback,
        )


def _open(config: RunConfig, data: Path | str, data_b: Path | None, cache: Path) -> Any:
    from tandem.data.budget import decoded_budget  # noqa: PLC0415  (start-up time)
    from tandem.errors import ConfigError  # noqa: PLC0415
    from tandem.training.inputs import open_inputs  # noqa: PLC0415

    budget = decoded_budget(None)
    with TaskProgress("checking images", None, "images") as progress:
        inputs = open_inputs(config, data, data_b, cache=cache, decoded_bytes=budget, on_check=progress.callback)
    if budget < inputs.report.loaded_bytes or getattr(inputs.train, "decoded", None) is None:
        raise ConfigError(
            f"decoded, the training images take {inputs.report.loaded_bytes / 1e9:.3g} GB, more than a quarter of the "
            "free memory, so there is nothing to compare: measure with a part of the data."
        )
    return inputs


def _text(report: dict[str, Any]) -> str:
    from tandem.bench.header import header_line, spread_text  # noqa: PLC0415  (start-up time)

    lines = [
        header_line(report["header"]),
        f"{report['data']}: {report['images']} pairs, decoded {report['decoded_mb']:.0f} MB",
        f"{report['method']}, {report['size']} px, batch {report['batch_size']}, {report['num_workers']} workers; "
        f"medians (and quartiles) of {report['rounds']} rounds in turn",
    ]
    alone = report["train_step_seconds"]
    need = None if alone is None else report["batch_size"] / alone["median"]
    if alone is not None and need is not None:
        lines.append(f"{'the step alone':<19} {need:.1f} pairs/s, {spread_text(alone)}")
    for name, seconds in report["pair_seconds"].items():
        median, low, high = (1 / x for x in (seconds["median"], *reversed(seconds["quartiles"])))
        milliseconds = 1000 * report["pair_processor_seconds"][name]["median"]
        line = (
            f"{name:<19} {median:.1f} pairs/s ({low:.1f} to {high:.1f}), {milliseconds:.2f} ms of processor time each"
        )
        if need is not None:
            share, low, high = (
                100 * x for x in (report["waiting"][name]["median"], *report["waiting"][name]["quartiles"])
            )
            line += f", {median / need:.1f} times the need; steps wait {share:.1f} % ({low:.1f} to {high:.1f})"
        lines.append(line)
    return "\n".join(lines) + "\n"
