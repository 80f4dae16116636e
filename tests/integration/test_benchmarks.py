"""``python -m benchmarks.NAME``: what all of them have, the cost of a step, its profile."""

import json
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from support import benchmark

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted(path.parent.name for path in (ROOT / "benchmarks").glob("*/__main__.py"))
README = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
OF_CPUS = {"demo", "engines", "large", "reading", "serving", "threads", "web"}
TINY = ["--filters", "4", "--device", "cpu"]


def test_all_are_here() -> None:
    timed = {"cost", "demo", "features", "loading", "profile", "scaling", "threads"}
    assert {"acceptance", "engines", "large", "reading", "serving", "shallows", "web"} | timed == set(BENCHMARKS)


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name != "acceptance"])
def test_every_benchmark_has_help_with_json_and_device(name: str) -> None:
    """As people run it, from the root of a checkout; the README names it and each of its options."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"usage: python -m benchmarks.{name} " in shown.stdout
    assert "--json" in shown.stdout
    assert ("--device" in shown.stdout) == (name not in OF_CPUS)
    listed = {word for word in re.findall(r"--[\w-]+", shown.stdout) if not word.startswith("--no-")}
    assert {option for option in listed - {"--help"} if option not in README} == set()


README_BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
README_LINES = [line for block in README_BLOCKS for line in block.splitlines() if " -m benchmarks." in line]


@pytest.mark.parametrize("line", README_LINES)
def test_commands_of_the_readme_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class AcceptedError(Exception):
        pass

    original = ArgumentParser.parse_args

    def stop(self: ArgumentParser, arguments: list[str]) -> None:
        original(self, arguments)
        raise AcceptedError

    monkeypatch.setattr(ArgumentParser, "parse_args", stop)
    words = shlex.split(line)
    module = words.index("-m") + 1
    with pytest.raises(AcceptedError):
        benchmark(words[module].removeprefix("benchmarks."), *words[module + 1 :])


@pytest.mark.slow
def test_a_table_of_costs(tmp_path: Path) -> None:
    """With a batch that no memory holds: it is said, and the rest is measured."""
    cells = ["--sizes", "64", "--batches", "2", "40000000", "80000000", "--out", str(tmp_path / "cost")]
    measured = benchmark("cost", *TINY, *cells, "--rounds", "2", "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    first, second, third = report["cells"]
    assert first["seconds"] > 0
    assert 0 < first["share_of_peak"] < 1
    assert first["intensity"] == pytest.approx(first["flops"] / first["bytes"])
    assert first["memory_mb"] > 50
    assert (second["seconds"], second["problem"]) == (None, "does not fit the memory")
    assert (third["seconds"], third["problem"]) == (None, "a smaller batch does not fit the memory")
    assert json.loads((tmp_path / "cost" / "cost.json").read_text()) == report
    table = (tmp_path / "cost" / "cost.md").read_text()
    assert "| 64 | 2 | " in table
    assert "| 64 | 40000000 | does not fit the memory |" in table
    assert (tmp_path / "cost" / "cost.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_the_models_of_the_demo_take_turns() -> None:
    """Each is trained to the end of the longer run: no rate is zero before."""
    measured = benchmark("demo", "--steps", "40", "--rounds", "1", "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert report["steps_for_one"].keys() == {"tandem", "bicyclegan", "pix2pix-noise"}
    assert all(found[0] > 0 for found in report["cpu_seconds"].values())


@pytest.mark.slow
def test_a_profile(tmp_path: Path) -> None:
    profiled = benchmark("profile", *TINY, "--size", "64", "--trace", tmp_path / "trace.json")
    assert profiled.status == 0, profiled.err
    assert "| convolutions, backward |" in profiled.out
    assert "published: ms" in profiled.out
    assert "traceEvents" in json.loads((tmp_path / "trace.json").read_text())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cost", ["--batches", "3"], "--batch-size must be even"),
        ("cost", ["--batches", "0"], "--batches: must be at least 1, not 0"),
        ("profile", ["--precision", "fp8"], "--precision: invalid choice: 'fp8'"),
        ("profile", ["--preset", "facade"], "unknown preset 'facade'"),
        ("loading", ["--rounds", "two"], "--rounds: must be a whole number, not 'two'"),
    ],
)
def test_options_that_cannot_be(name: str, options: list[str], message: str) -> None:
    refused = benchmark(name, *options)
    assert refused.status == 2
    assert message in refused.err
