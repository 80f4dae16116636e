"""Peak memory of the training step.

On a GPU it is counted in this process. Elsewhere the peak of a process never falls, so a fresh one runs a few steps:
``python -m tandem.bench.memory VARIANT DEVICE OPTIONS``, the options of the run as JSON.
"""

import gc
import json
import subprocess
import sys

import torch

from tandem.bench.train_step import Variant, make_step
from tandem.config.run import RunConfig, from_flat, to_flat
from tandem.training.device import configure_backends, peak_memory_mb

STEPS = 3


def peak_memory_of(variant: Variant, config: RunConfig, device: torch.device) -> float | None:
    """Peak memory in MiB of a few training steps; None where the system does not say.

    Raises:
        subprocess.CalledProcessError: The fresh process has failed.
    """
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return _run(variant, config, device)
    options = json.dumps(to_flat(config))
    command = [sys.executable, "-m", "tandem.bench.memory", variant, str(device), options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _run(variant: Variant, config: RunConfig, device: torch.device) -> float | None:
    step = make_step(variant, config, device)
    for _ in range(STEPS):
        step()
    return peak_memory_mb(device)


def main(arguments: list[str]) -> None:
    """Run one variant and print its peak memory as JSON."""
    variant, device_name, options = arguments
    device = torch.device(device_name)
    configure_backends(device, deterministic=False)
    peak = _run("published" if variant == "published" else "tandem", from_flat(json.loads(options)), device)
    sys.stdout.write(json.dumps(peak) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
