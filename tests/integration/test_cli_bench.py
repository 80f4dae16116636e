"""``tandem bench``: its benchmarks, their JSON and their text."""

import json
import re
import statistics
import subprocess

import pytest
import torch
from support import tandem

from tandem.bench.train_report import targets_of, training_text
from tandem.bench.train_step import bench_config, make_stepper
from tandem.bench.worker import running_variants
from tandem.commands.bench import BENCHMARKS
from tandem.config.tandem import TandemConfig

TINY = ["--size", "64", "--filters", "4", "--device", "cpu", "--rounds", "2"]


def test_alone_it_lists_the_benchmarks() -> None:
    shown = tandem("bench", "--help")
    assert shown.status == 0
    assert all(f"\n  tandem bench {name} " in shown.out for name in BENCHMARKS)
    alone = tandem("bench")
    assert (alone.status, alone.out) == (2, shown.out)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_help_with_json_and_device(name: str) -> None:
    shown = tandem("bench", name, "--help")
    assert shown.status == 0
    assert f"tandem bench {name}" in shown.out
    assert "--json" in shown.out
    assert "--device" in shown.out


def test_an_unknown_benchmark() -> None:
    refused = tandem("bench", "trian")
    assert refused.status == 2
    assert "there is no 'tandem bench trian'. Did you mean train?" in refused.err


def test_the_header_says_what_was_measured_where() -> None:
    report = json.loads(tandem("bench", "sample", *TINY, "--counts", "1", "--ways", "batched", "--json").out)
    header = report["header"]
    assert header["device"] == "cpu"
    assert header["threads"] == 1
    assert header["torch"].startswith("2.")
    assert {"tandem", "python", "cuda", "cudnn", "date", "cpu", "float32_matmul"} <= header.keys()


@pytest.mark.parametrize("method", ["bicyclegan", "tandem", "cyclegan", "pix2pix"])
def test_a_training_step_is_measured(method: str) -> None:
    measured = tandem("bench", "train", "--method", method, *TINY, "--json")
    assert measured.status == 0, measured.err
    report = json.loads(measured.out)
    assert report["method"] == method
    assert report["batch_size"] == {"bicyclegan": 2, "tandem": 8}.get(method, 1)
    for seconds in report["train_step_seconds"].values():
        assert len(seconds["all"]) == 2
        assert seconds["median"] == statistics.median(seconds["all"]) > 0
        assert min(seconds["all"]) <= seconds["quartiles"][0] <= seconds["median"] <= seconds["quartiles"][1]
    assert all(megabytes > 50 for megabytes in report["peak_memory_mb"].values())
    if method in {"pix2pix", "tandem"}:
        assert report["train_step_seconds"].keys() == {"tandem"}
        assert report["train_step_speedup"] is None
    else:
        assert report["train_step_seconds"].keys() == {"published", "tandem"}
        assert report["train_step_speedup"] > 0
    assert report["targets"] == []  # they are for the published sizes
    text = training_text(report)
    shown = re.search(r"^Tandem +([\d.]+) (m?s) ", text, re.MULTILINE)
    assert shown is not None, text
    median = report["train_step_seconds"]["tandem"]["median"]
    assert float(shown[1]) * {"s": 1, "ms": 1e-3}[shown[2]] == pytest.approx(median, rel=0.02)
    assert ("times as fast" in text) == ("published order" in text) == (method not in {"pix2pix", "tandem"})


def test_of_tandem_the_step_with_discriminators_is_measured() -> None:
    """At the method's own proportions."""
    config = bench_config("tandem", size=64)
    assert config.objective == TandemConfig(gan_from=0.0)
    stepper, batches, state = make_stepper(bench_config("tandem", size=32, filters=4), torch.device("cpu"))
    stepper.step(batches)
    assert {"gan", "latent", "disc_real"} <= state.meter.means().keys()


@pytest.mark.parametrize(
    ("device", "method", "batch_size", "speedup", "rate", "met"),
    [
        ("cpu", "bicyclegan", 2, 1.59, 0.8, [False]),
        ("cpu", "bicyclegan", 2, 1.6, 0.8, [True]),
        ("cpu", "bicyclegan", 4, 1.6, 0.8, []),
        ("cpu", "cyclegan", 1, 9.0, 0.8, []),
        ("cuda:0", "bicyclegan", 2, 6.1, 149.0, [True, False]),
        ("cuda", "cyclegan", 1, 3.0, 10.0, [True]),
    ],
)
def test_targets(*, device: str, method: str, batch_size: int, speedup: float, rate: float, met: list[bool]) -> None:
    report = {
        "header": {"device": device},
        **{"method": method, "size": 256, "filters": 64, "batch_size": batch_size},
        **{"train_step_speedup": speedup, "steps_per_second": {"tandem": rate}},
    }
    assert [target["met"] for target in targets_of(report)] == met
    assert targets_of(report | {"size": 128}) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["--precision", "fp8"], "--precision must be one of"),
    ],
)
def test_options_that_cannot_be(options: list[str], message: str) -> None:
    refused = tandem("bench", "train", *options)
    assert refused.status == 2
    assert message in refused.err


def test_a_variant_that_fails_ends_the_measurement(capfd: pytest.CaptureFixture[str]) -> None:
    config = bench_config("bicyclegan", size=64, filters=4)
    with running_variants(config, torch.device("xpu")) as steps:
        assert steps.keys() == {"published", "tandem"}
        with pytest.raises(subprocess.CalledProcessError, match=r"tandem\.bench\.worker"):
            steps["tandem"]()
    assert "xpu" in capfd.readouterr().err
