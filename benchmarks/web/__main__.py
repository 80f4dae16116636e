"""``python -m benchmarks.web PAGE MODEL``: a page without a server in headless Chromium, beside ONNX Runtime itself.

CPU times are those of all processes of the browser, and of this one; on a busy machine they say more than the clock.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import at_least, make_parser, reporting, write
from tandem.errors import ConfigError
from tandem.inference.translator import load
from tandem.web.browsing import ISOLATION, browser, hosted, missing_browser

DRAW = """async ([count, rounds]) => {
  const { engine } = globalThis.tandem;
  const { default: model } = await engine.catalogue();
  const { size: [height, width], directions: [direction], latent_dim: hasLatent } = await engine.model(model);
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.lineWidth = width / 40;
  context.strokeRect(width / 4, height / 4, width / 2, height / 2);
  const image = context.getImageData(0, 0, width, height);
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    const z = hasLatent ? await engine.latents(model, round, count) : undefined;
    await engine.translate({ model, direction, image, seed: round, z });
    times.push((performance.now() - began) / 1000);
  }
  return times;
}"""


@reporting
def main(arguments: Sequence[str]) -> None:
    """Parse the options, measure, print."""
    parser = make_parser("web", "Measure a page without a server in headless Chromium.", has_device=False)
    parser.add_argument("page", type=Path, help="folder that 'tandem export --to web' wrote")
    parser.add_argument("model", type=Path, help="the model in it, for ONNX Runtime on one thread")
    parser.add_argument("--samples", type=at_least(1), default=4, help="outputs of a drawing")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="drawings; medians are over these")
    parser.add_argument("--threads", type=at_least(1), default=1, help="of WebAssembly")
    args = parser.parse_args(arguments)
    if why := missing_browser():
        raise ConfigError(f"{why}: nothing can be measured.")
    with browser() as opened, hosted(args.page, ISOLATION) as address:
        page = opened.new_page()
        page.set_default_timeout(600_000)
        began, before = time.monotonic(), _cpu_seconds()
        page.goto(f"{address}?engine=wasm&threads={args.threads}")
        page.wait_for_selector("#tiles > li", state="attached")
        page.evaluate(DRAW, [1, 1])
        first = {"seconds": time.monotonic() - began, "cpu_seconds": _cpu_seconds() - before}
        page.evaluate(DRAW, [args.samples, 1])
        before = _cpu_seconds()
        times = page.evaluate(DRAW, [args.samples, args.rounds])
        cpu = (_cpu_seconds() - before) / args.rounds
    native = _native(args.model, args.samples, args.rounds)
    report: dict[str, Any] = {
        "load": os.getloadavg()[0],
        "first_output": first,
        "samples": {"number": args.samples, "seconds": statistics.median(times), "cpu_seconds": cpu},
        "native_cpu_seconds": native,
        "times_native": cpu / native,
    }
    text = (
        f"load {report['load']:.1f} on {os.cpu_count()} cores, {args.threads} threads of WebAssembly\n"
        f"from opening to the first output: {first['seconds']:.2f} s, {first['cpu_seconds']:.2f} CPU s\n"
        f"{args.samples} outputs of a drawing: {1000 * report['samples']['seconds']:.0f} ms, {1000 * cpu:.0f} CPU ms\n"
        f"ONNX Runtime, one thread: {1000 * native:.0f} CPU ms; the page takes {cpu / native:.2f} times as much\n"
    )
    write(report, text, as_json=args.json)


def _native(model: Path, samples: int, rounds: int) -> float:
    """CPU seconds that ONNX Runtime takes for the outputs of a drawing."""
    translator = load(model, device="cpu", engine="onnx", threads=1, max_batch=1)
    height, width = translator.manifest.preprocessing.size
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[height // 4, width // 4 : -width // 4] = 0
    number = samples if translator.latent_dim else 1
    translator(picture, number, output="array")
    began = time.process_time()
    for seed in range(rounds):
        translator(picture, number, seed=seed, output="array")
    return (time.process_time() - began) / rounds


def _cpu_seconds() -> float:
    """Of all processes that this one has started, and theirs."""
    return sum(_own_seconds(pid) for pid in _below(os.getpid()))


def _below(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, thread.read_text().split()):
            yield child
            yield from _below(child)


def _own_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
