"""Run the parts one after the other, each in a process with a time limit, and write the report after every one."""

import argparse
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

from benchmarks.acceptance.parts import PARTS
from benchmarks.acceptance.report import write_report
from benchmarks.acceptance.settings import ROOT, Settings

TAIL_LINES = 30
"""Of a failed part's output, which the report keeps."""


def main(arguments: list[str]) -> int:
    """Parse the options and run; the status is 0 only if no part has failed."""
    parser = argparse.ArgumentParser(prog="gpu_acceptance.sh", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for report.json, report.md and pictures")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; may be given repeatedly")
    parser.add_argument("--data", type=Path, help="pairs for the training, e.g. facades; the demo dataset if not given")
    parser.add_argument("--minutes", type=float, help="of the training; 2 if not given")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "acceptance", help="datasets and runs; kept")
    parser.add_argument("--smoke", action="store_true", help="small settings, also without a GPU")
    parser.add_argument("--device", help="auto if not given")
    args = parser.parse_args(arguments)
    settings = _settings(args)
    settings.work.mkdir(parents=True, exist_ok=True)
    report = _earlier(settings.out)
    chosen = args.part or [name for name, part in PARTS.items() if part.unasked]
    for number, name in enumerate(chosen, start=1):
        limit = PARTS[name].limit_seconds * (1 + settings.smoke)  # the CPU may be a busy one
        _say(f"=== {name} ({number} of {len(chosen)}, at most {limit:.0f} s)")
        report[name] = _run(name, settings, limit)
        _say(f"=== {name}: {report[name]['status']} after {report[name]['seconds']:.0f} s")
        write_report(settings, report)
    for name in chosen:
        reason = report[name].get("error", "").partition("\n")[0]
        _say(f"{report[name]['status']:<8} {name:<12} {reason}")
    _say(f"report: {settings.out / 'report.md'}")
    return int(any(report[name]["status"] in {"failed", "timeout"} for name in chosen))


def _settings(args: argparse.Namespace) -> Settings:
    device = args.device
    if device is None:
        code = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"
        device = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    smoke = args.smoke or not device.startswith("cuda")
    if smoke:
        _say(f"small settings on {device}: the numbers say only that everything runs")
    minutes = args.minutes or (0.2 if smoke else 2.0)
    data = None if args.data is None else args.data.resolve()
    return Settings(
        device=device, smoke=smoke, data=data, out=args.out.resolve(), work=args.work.resolve(), minutes=minutes
    )


def _earlier(out: Path) -> dict[str, Any]:
    """The parts of earlier calls with the same folder, which this call completes."""
    path = out / "report.json"
    return json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}


def _run(name: str, settings: Settings, limit: float) -> dict[str, Any]:
    """One part in a process group of its own, so that nothing of it outlives its time."""
    begun = time.monotonic()
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.acceptance.worker", name, settings.as_text(), str(result)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=ROOT,
            start_new_session=True,
        )
        assert process.stdout is not None
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        reader = threading.Thread(target=_copy, args=(process.stdout, tail), daemon=True)
        reader.start()
        try:
            process.wait(timeout=limit)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _end_group(process)
        reader.join(timeout=5)
        found: dict[str, Any] = {"status": "failed", "error": f"the process ended with status {process.returncode}"}
        if result.exists():
            found = json.loads(result.read_text(encoding="utf-8"))
    if timed_out:
        found = {"status": "timeout", "error": f"no end after {limit:.0f} s"}
    if found["status"] in {"failed", "timeout"}:
        found["output"] = list(tail)
    return {"date": date, "seconds": round(time.monotonic() - begun, 1), "smoke": settings.smoke} | found


def _copy(stream: IO[str], tail: deque[str]) -> None:
    for line in stream:
        sys.stdout.write(line)
        tail.append(line.rstrip("\n"))


def _end_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
