"""Measure how the training step scales: ``torchrun --nproc-per-node 2 -m benchmarks.scaling --device cpu``.

All variants run in turn in the same processes, so that ratios hold on a machine whose speed drifts. `whole` is one
process with the whole batch, `share` one process with its share while the others rest, `beside` all processes with
their shares and no communication, `together` the training step with all-reduces after each backward, `early` with
all-reduces that begin while it runs, `means` the all-reduces alone, `message` the mean of one number.
"""

import statistics
import sys
from collections.abc import Sequence

import torch

from benchmarks.command import METHODS, at_least, make_parser, reporting, write
from benchmarks.scaling.timing import BackwardClock, Link, make_variants, phase_bytes_of, step_seconds, time_together
from tandem.bench.header import header_line, make_header
from tandem.bench.train_step import bench_config
from tandem.training.device import configure_backends
from tandem.training.distributed import join


@reporting
def main(arguments: Sequence[str]) -> None:
    """Measure, compare with the model, print."""
    parser = make_parser("scaling", __doc__ or "")
    parser.add_argument("--method", default="bicyclegan", choices=METHODS, help="what is trained")
    parser.add_argument("--size", type=at_least(1), default=256, help="side of the images")
    parser.add_argument("--batch-size", type=at_least(1), default=4, help="of all processes together")
    parser.add_argument("--filters", type=at_least(1), default=64, help="width of all networks")
    parser.add_argument("--rounds", type=at_least(1), default=9, help="rounds that count")
    args = parser.parse_args(arguments)
    config = bench_config(method=args.method, size=args.size, batch_size=args.batch_size, filters=args.filters)
    with join(args.device) as process_group:
        configure_backends(process_group.device, deterministic=False)
        clock = BackwardClock(process_group.device)
        seconds = time_together(
            make_variants(config, process_group, clock), process_group, rounds=args.rounds, warmup=2
        )
        report = {"header": make_header(process_group.device), "processes": process_group.size, "options": vars(args)}
        if process_group.is_main:
            report |= _evaluated(seconds, list(phase_bytes_of(config).values()), clock.medians(), process_group.size)
            write(report, _text(report) + "\n", as_json=args.json)


def _evaluated(
    seconds: dict[str, list[float]], phase_bytes: list[int], backwards: list[float], processes: int
) -> dict[str, object]:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rounds = range(len(seconds["whole"]))
    # What the link can do, from the all-reduces alone; the model then says what the step should take.
    latency = medians["message"] / 2
    carried = 2 * (processes - 1) / processes * sum(phase_bytes)
    link = Link(carried / max(1e-9, medians["means"] - len(phase_bytes) * medians["message"]), latency)
    predicted = step_seconds(medians["beside"], phase_bytes, processes, link)
    predicted_early = step_seconds(medians["beside"], phase_bytes, processes, link, backwards=backwards)
    return {
        "seconds": {name: {"median": medians[name], "all": values} for name, values in seconds.items()},
        "phase_bytes": phase_bytes,
        "link": {"bytes_per_second": link.bytes_per_second, "latency_seconds": latency},
        "speedup": statistics.median(seconds["whole"][i] / seconds["together"][i] for i in rounds),
        "weak_efficiency": statistics.median(seconds["share"][i] / seconds["together"][i] for i in rounds),
        "early_speedup": statistics.median(seconds["together"][i] / seconds["early"][i] for i in rounds),
        "contention": statistics.median(seconds["beside"][i] / seconds["share"][i] for i in rounds),
        "predicted_seconds": predicted,
        "measured_over_predicted": medians["together"] / predicted,
        "backward_seconds": backwards,
        "predicted_early_seconds": predicted_early,
        "early_measured_over_predicted": medians["early"] / predicted_early,
    }


def _text(report: dict) -> str:
    seconds = {name: value["median"] for name, value in report["seconds"].items()}
    link = report["link"]
    return "\n".join(
        [
            f"{report['processes']} processes; {header_line(report['header'])}",
            ", ".join(f"{name} {1000 * value:.2f} ms" for name, value in seconds.items()),
            f"gradients {sum(report['phase_bytes']) / 1e6:.1f} MB in {len(report['phase_bytes'])} phases; link "
            f"{link['bytes_per_second'] / 1e9:.2f} GB/s, {1e6 * link['latency_seconds']:.0f} us",
            f"{report['speedup']:.2f} times as fast as one process with the whole batch; a share takes "
            f"{report['contention']:.2f} times as long beside another one; efficiency {report['weak_efficiency']:.2f}",
            f"model {1000 * report['predicted_seconds']:.2f} ms, measured over model "
            f"{report['measured_over_predicted']:.3f}",
            f"gradients sent while a backward runs: {report['early_speedup']:.2f} times as fast; model "
            f"{1000 * report['predicted_early_seconds']:.2f} ms, measured over model "
            f"{report['early_measured_over_predicted']:.3f}; {torch.get_num_threads()} thread(s) each",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
