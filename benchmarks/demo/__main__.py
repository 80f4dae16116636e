"""``python -m benchmarks.demo``: CPU time of a training step of each model of the demo, data and log included.

Each model is trained twice, for few and for many steps, in a process of its own; the difference of the two CPU times is
that of the steps between. The models take turns. Discriminators of the method `tandem` join for the last quarter of
either run at the latest, as they do in the demo.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import at_least, make_parser, reporting, write

TRAIN = """
import json, resource, sys
from pathlib import Path
from tandem.commands.demo import demo_config
from tandem.config.run import from_flat, to_flat
from tandem.training.trainer import train

name, steps, data, out = json.loads(sys.argv[1])
# Of a longer demo, whose rate does not fall to zero before the end: the data are few, so the steps make many epochs.
options = to_flat(demo_config(name, 100 * steps, seed=0, device="cpu", threads=1))
options |= {"steps": steps, "num_workers": 0, "snapshot_every": 10**6}
train(from_flat(options), Path(data), out, quiet=True)
usage = resource.getrusage(resource.RUSAGE_SELF)
print(usage.ru_utime + usage.ru_stime)
"""


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser(
        "demo", "Measure the CPU time of a training step of each model of the demo, on one thread.", has_device=False
    )
    parser.add_argument(
        "--steps", type=at_least(40), default=100, help="steps of the short run; the long one has 3 times as many"
    )
    parser.add_argument("--rounds", type=at_least(1), default=3, help="rounds; medians are over these")
    args = parser.parse_args(arguments)
    from tandem.commands.demo import BASELINES, OURS  # noqa: PLC0415
    from tandem.data.synthetic import write_dataset  # noqa: PLC0415

    seconds: dict[str, list[float]] = {name: [] for name in (OURS, *BASELINES)}
    with tempfile.TemporaryDirectory() as folder:
        data = write_dataset(Path(folder) / "data", seed=0, num_train=200)
        for number in range(args.rounds):
            for name, found in seconds.items():
                short, long = (
                    _cpu_seconds(name, steps, data, Path(folder) / f"{name}-{number}-{steps}")
                    for steps in (args.steps, 3 * args.steps)
                )
                found.append((long - short) / (2 * args.steps))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    steps_for_one = {name: medians[OURS] / one for name, one in medians.items()}
    lines = [
        f"{name}: {medians[name]:.4f} CPU s a step; {steps_for_one[name]:.2f} steps take the time of one of {OURS}"
        for name in seconds
    ]
    write({"cpu_seconds": seconds, "steps_for_one": steps_for_one}, "\n".join(lines), as_json=args.json)


def _cpu_seconds(name: str, steps: int, data: Path, out: Path) -> float:
    words = [sys.executable, "-c", TRAIN, json.dumps([name, steps, str(data), str(out)])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
