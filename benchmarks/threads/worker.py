"""Work in a process of its own, whose threads wait in one way: ``python -m benchmarks.threads.worker WAY OPTIONS``.

The way is ``spinning`` or ``asleep``, and the options are JSON. For every line that it reads, a number of seconds, it
works that long and writes how many steps or samples a second it has done.
"""

import json
import sys
import time
from collections.abc import Callable

WARM_UP = 2


def main(way: str, options: str) -> None:
    """Make the work, then do it as asked."""
    if way == "spinning":  # OpenMP reads its settings here, before Tandem can make them
        import torch  # noqa: F401, PLC0415

    work = make_work(**json.loads(options))
    for _ in range(WARM_UP):
        work()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(f"{measure(work, float(line))}\n")
        sys.stdout.flush()


def make_work(*, work: str, size: int, filters: int, threads: int | None) -> Callable[[], object]:
    """A training step of BicycleGAN, or a sample of its generator, as a function without arguments."""
    from tandem.bench.train_step import bench_config, make_step  # noqa: PLC0415
    from tandem.threads import choose_threads  # noqa: PLC0415
    from tandem.training.device import configure_backends  # noqa: PLC0415

    choose_threads(threads)
    import torch  # noqa: PLC0415

    device = torch.device("cpu")
    configure_backends(device, deterministic=False)
    config = bench_config("bicyclegan", size=size, filters=filters)
    if work == "train":
        return make_step("tandem", config, device)
    from tandem.bench.sampling import fresh_subject  # noqa: PLC0415

    generator = fresh_subject(config).network
    a, z = torch.zeros(1, 3, size, size), torch.zeros(1, 8)

    @torch.inference_mode()
    def sample() -> object:
        return generator(a, z)

    return sample


def measure(work: Callable[[], object], seconds: float) -> float:
    """How often a second `work` is done, measured for at least so many seconds."""
    begun, done = time.perf_counter(), 0
    while True:
        work()
        done += 1
        taken = time.perf_counter() - begun
        if taken >= seconds:
            return done / taken


if __name__ == "__main__":
    main(*sys.argv[1:])
