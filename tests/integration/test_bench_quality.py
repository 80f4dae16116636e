"""``tandem bench quality``: a bench from end to end, its numbers against second computations, going on, refusals."""

import json
import os
import shutil
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from support import (
    TIMEOUT,
    Finished,
    assert_page_is_whole,
    assert_same_state,
    fork,
    num_log_lines,
    page_text,
    references_of,
    state_of,
    tandem,
    until,
    wait_for,
)

from tandem.bench.quality import bench as bench_module
from tandem.bench.quality.jobs import Job, TrainingJob
from tandem.bench.quality.worker import perform
from tandem.data.discover import find_splits
from tandem.data.hold_out import hold_out
from tandem.data.synthetic import write_dataset
from tandem.errors import TandemError
from tandem.report.quality import REAL

STEPS = 3
TANDEM, PIX2PIX = "tandem:discriminator_layers=2", "pix2pix:dropout=false"
SETTINGS = f"{TANDEM},{PIX2PIX}"
OF_ALL = (
    "generator_filters=4,discriminator_filters=4,num_workers=0,num_previews=2,num_preview_samples=2,log_every=1,"
    "snapshot_every=2"
)
COMMON = f"{OF_ALL},encoder_filters=4,latent_dim=2"
HERE = ["--device", "cpu", "--threads", "1"]


class Jobs:
    """Jobs as copies of this process: they run as elsewhere, and begin at once."""

    def __init__(self) -> None:
        self.done: list[Job] = []
        self.most = 1_000_000

    def __call__(self, job: Job) -> int:
        if len(self.done) >= self.most:
            raise KeyboardInterrupt
        self.done.append(job)
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        status = 99
        try:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
                status = perform(job, time.monotonic())
        except TandemError:
            status = 1
        finally:
            os._exit(status)

    @property
    def kinds(self) -> list[str]:
        return [job.kind for job in self.done]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    found = Jobs()
    monkeypatch.setattr(bench_module, "run_job", found)
    return found


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("bench") / "demo", size=32, num_train=6, num_val=2, num_test=4)


def quality(data: Path, out: Path, *words: str | Path, settings: str = SETTINGS) -> Finished:
    common = COMMON if settings == SETTINGS else OF_ALL
    return tandem(
        *("bench", "quality", data, "--out", out, "--presets", settings, "--common", common, "--size", "32"),
        *(*HERE, *words),
    )


class Whole:
    """A bench of two settings with two seeds that was stopped after some jobs and went on."""

    words = ("--seeds", "0,1", "--steps", str(STEPS), "--num-samples", "2", "--num-inputs", "1", "--shown-samples", "2")

    def __init__(self, data: Path, features: Path, out: Path, jobs: Jobs) -> None:
        self.data, self.features, self.out, self.jobs = data, features, out, jobs
        jobs.most = 5
        self.stopped = quality(data, out, "--features", features, *self.words)
        jobs.most = 1_000_000
        self.finished = quality(data, out, "--features", features, *self.words, "--json")

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.out / "quality.json").read_text())

    def row(self, name: str) -> dict[str, Any]:
        (row,) = [row for row in self.report["rows"] if row["name"] == name]
        return row

    def number(self, row: str, name: str) -> dict[str, Any]:
        (number,) = [number for number in self.row(row)["numbers"] if number["name"] == name]
        return number


@pytest.fixture(scope="module")
def whole(pairs: Path, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    with pytest.MonkeyPatch.context() as patch:
        jobs = Jobs()
        patch.setattr(bench_module, "run_job", jobs)
        return Whole(pairs, features, tmp_path_factory.mktemp("quality") / "out", jobs)


def test_it_goes_on_where_it_stopped_and_does_nothing_twice(whole: Whole, jobs: Jobs) -> None:
    assert whole.stopped.status == 130
    assert whole.finished.status == 0, whole.finished.err
    a_run = ["training", "evaluation", "sampling"]
    assert whole.jobs.kinds == 4 * a_run + 2 * ["real"]
    again = quality(whole.data, whole.out, "--features", whole.features, *whole.words)
    assert again.status == 0, again.err
    assert jobs.done == []


def test_every_run_has_its_steps_and_is_measured_at_the_last(whole: Whole) -> None:
    plan = json.loads((whole.out / "plan.json").read_text())
    assert [(one["name"], one["steps"]) for one in plan["settings"]] == [(TANDEM, STEPS), (PIX2PIX, STEPS)]
    runs = sorted((whole.out / "settings").glob("*/seed-*"))
    assert len(runs) == 4
    for run in runs:
        _, metadata = state_of(run)
        model = json.loads((run / "model" / "model.json").read_text())
        report = json.loads((run / "evaluation" / "report.json").read_text())
        assert metadata["step"] == model["training"]["steps"] == report["subject"]["steps"] == STEPS
        assert report["subject"]["weights_sha256"] == model["weights"]["sha256"]
        assert report["data"]["split"] == "test"
        assert report["data"]["num_inputs"] == 4


def scores_of(report: Path) -> dict[str, float]:
    values = json.loads(report.read_text())
    return {score["name"]: score["value"] for result in values["results"] for score in result["scores"]}


def test_means_and_excess_against_a_second_computation(whole: Whole) -> None:
    of_seeds = {
        TANDEM: [whole.out / f"settings/tandem-discriminator_layers=2/seed-{seed}/evaluation" for seed in (0, 1)],
        PIX2PIX: [whole.out / f"settings/pix2pix-dropout=false/seed-{seed}/evaluation" for seed in (0, 1)],
        REAL: [whole.out / f"real/seed-{seed}" for seed in (0, 1)],
    }
    distances = {name: [scores_of(one / "report.json")["frechet"] for one in some] for name, some in of_seeds.items()}
    level = statistics.mean(distances[REAL])
    for name, values in distances.items():
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        number, excess = whole.number(name, "frechet"), whole.number(name, "frechet excess")
        reach = 12.706204736 * deviation / 2**0.5  # the quantile of Student's t with one degree of freedom
        assert number["mean"] == pytest.approx(mean)
        assert number["deviation"] == excess["deviation"] == pytest.approx(deviation)
        assert (number["low"], number["high"]) == pytest.approx((mean - reach, mean + reach))
        assert excess["mean"] == pytest.approx(mean - level)
        assert excess["low"] == pytest.approx(mean - reach - level)
        assert list(excess["values"].values()) == pytest.approx([value - level for value in values])
    assert "crps" in scores_of(of_seeds[TANDEM][0] / "report.json")
    assert not any(number["name"] == "crps" for number in whole.row(PIX2PIX)["numbers"])  # one output of each input


def test_real_images_are_as_many_as_samples_and_of_the_training_split(whole: Whole) -> None:
    draws = [json.loads((whole.out / f"real/seed-{seed}/report.json").read_text())["data"] for seed in (0, 1)]
    training = {path.stem for path in (whole.data / "train").iterdir()}
    for draw in draws:
        assert draw["num_inputs"] == draw["num_real"] == len(set(draw["names"])) == 4
        assert set(draw["names"]) <= training
    assert draws[0]["names"] != draws[1]["names"]
    run = json.loads(next(whole.out.glob("settings/*/seed-0/evaluation/report.json")).read_text())
    assert draws[0]["real_sha256"] == run["data"]["real_sha256"]


def test_every_run_has_its_cost(whole: Whole) -> None:
    for name in (TANDEM, PIX2PIX):
        for run in whole.row(name)["runs"]:
            assert 0 < run["sample_cpu_seconds"] < run["cpu_seconds"] < 60
            assert 0 < run["seconds"] < 60
            assert min(run["memory_mb"], run["sample_memory_mb"]) > 50
    costs = [json.loads(line) for line in next(whole.out.glob("settings/*/seed-0/cost.jsonl")).read_text().splitlines()]
    assert [one["step"] for one in costs] == sorted(one["step"] for one in costs)
    assert [one["finished"] for one in costs] == [False] * (len(costs) - 1) + [True]


def test_the_page_shows_chart_table_and_samples_in_this_order(whole: Whole) -> None:
    page = whole.out / "quality.html"
    assert_page_is_whole(page, least=1 + 1 + 2 + 1)
    text = page_text(page)
    places = [
        text.index(part) for part in ("Quality against minutes", "frechet excess", "The same inputs", "All numbers")
    ]
    assert places == sorted(places)
    assert page.read_text().count('<circle class="point"') >= 4
    assert {"quality.json", "plan.json", "report.html"} <= {file.name for file in references_of(page)}
    assert "held-out split" in text
    assert "test, 4 inputs" in text


@pytest.mark.usefixtures("jobs")
def test_json_and_markdown_go_to_standard_output(whole: Whole) -> None:
    assert json.loads(whole.finished.out)["rows"] == whole.report["rows"]
    shown = tandem(
        "bench",
        "quality",
        whole.data,
        "--out",
        whole.out,
        "--features",
        whole.features,
        *HERE,
        *whole.words[:2],
        *whole.words[4:],
        "--markdown",
    )
    assert shown.status == 0, shown.err
    header, _, *rows = shown.out.split("\n\n")[0].splitlines()
    assert header.startswith("| Row | Minutes | frechet ↓ | frechet excess ↓ |")
    assert [row.split(" | ")[0] for row in rows] == [f"| {TANDEM}", f"| {PIX2PIX}", f"| {REAL}"]


def test_models_from_elsewhere_are_rows(whole: Whole, pairs: Path, tmp_path: Path, jobs: Jobs) -> None:
    trained = whole.out / "settings/tandem-discriminator_layers=2"
    done = tandem(
        *("bench", "quality", pairs, "--models", f"{trained},{trained / 'seed-0' / 'model'}", "--out", tmp_path / "b"),
        *(*HERE, "--features", whole.features, "--num-samples", "2", "--num-inputs", "0", "--seeds", "0,1", "--json"),
    )
    assert done.status == 0, done.err
    first, second, *_ = json.loads(done.out)["rows"]
    assert jobs.kinds == 3 * ["evaluation", "sampling"] + ["real", "real"]
    own = whole.row(TANDEM)
    assert [number["mean"] for number in first["numbers"]] == [number["mean"] for number in own["numbers"]]
    assert (first["kind"], first["method"], first["steps"]) == ("model", "tandem", STEPS)
    assert [run["cpu_seconds"] for run in first["runs"]] == [run["cpu_seconds"] for run in own["runs"]]
    assert second["runs"][0]["cpu_seconds"] is None  # a bundle alone says nothing of it
    assert second["numbers"][0]["deviation"] is None
    assert second["numbers"][0]["low"] is not None  # over images


def test_minutes_become_steps_which_a_plan_takes_elsewhere(pairs: Path, tmp_path: Path, jobs: Jobs) -> None:
    words = ("--seeds", "0", "--metrics", "l1", "--num-inputs", "0", "--timed-steps", "4")
    first = quality(pairs, tmp_path / "a", "--cpu-minutes", "0.06", *words, settings=PIX2PIX)
    assert first.status == 0, first.err
    assert jobs.kinds == ["timing", "training", "evaluation", "sampling", "real"]
    plan = json.loads((tmp_path / "a/plan.json").read_text())
    (setting,) = plan["settings"]
    times, steps = setting["times"], setting["steps"]
    assert plan["budget"] == {"kind": "cpu-minutes", "amount": 0.06}

    def cost(steps: int) -> float:
        return times["start"] + steps * times["step"] + -(-steps // 2) * times["snapshot"]

    assert cost(steps) <= 3.6 < cost(steps + 1)
    assert not (tmp_path / "a/timing").exists()
    jobs.done.clear()
    second = tandem(
        *("bench", "quality", pairs, "--out", tmp_path / "b", "--plan", tmp_path / "a/plan.json", *HERE),
        *("--seeds", "0", "--metrics", "l1", "--num-inputs", "0"),
    )
    assert second.status == 0, second.err
    assert "timing" not in jobs.kinds
    assert json.loads((tmp_path / "b/plan.json").read_text()) == plan
    assert_same_state(*(tmp_path / name / "settings/pix2pix-dropout=false/seed-0" for name in "ab"))
    checked = tandem("bench", "quality", "--out", tmp_path / "a", "--check", tmp_path / "b/quality.json")
    assert checked.status == 0, checked.err
    assert f"| {PIX2PIX} | l1 |" in checked.out
    assert " 0 are apart" in checked.out


def test_numbers_of_another_machine_that_are_apart_are_told(whole: Whole, tmp_path: Path) -> None:
    other = whole.report
    numbers = {number["name"]: number for number in other["rows"][0]["numbers"]}
    numbers["l1"] |= {"mean": numbers["l1"]["high"] + 1, "low": numbers["l1"]["high"] + 0.5, "high": 9.0}
    numbers["crps"] |= {"mean": numbers["crps"]["high"] + 1, "low": numbers["crps"]["low"], "high": 9.0}
    (tmp_path / "quality.json").write_text(json.dumps(other))
    checked = tandem("bench", "quality", "--out", whole.out, "--check", tmp_path / "quality.json")
    assert checked.status == 1
    lines = {tuple(line.split(" | ")[:2]): line for line in checked.out.splitlines()}
    assert lines[f"| {TANDEM}", "l1"].endswith("| APART |")
    assert lines[f"| {TANDEM}", "crps"].endswith("| the intervals overlap |")
    assert lines[f"| {PIX2PIX}", "l1"].endswith("| inside |")
    assert "1 are apart" in checked.out


def test_a_bench_that_is_killed_takes_its_process_along_and_goes_on(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 40
    words = ("--seeds", "0", "--steps", str(steps), "--metrics", "l1", "--num-inputs", "0", "--size", "32", *HERE)
    common = OF_ALL.replace("num_workers=0", "num_workers=1")
    command = ("bench", "quality", pairs, "--presets", PIX2PIX, "--common", common, *words)
    run = tmp_path / "killed/settings/pix2pix-dropout=false/seed-0"
    pid = fork(*command, "--out", tmp_path / "killed")
    until(lambda: num_log_lines(run) >= 4, pid)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(pid) == -signal.SIGKILL
    _until_unused(run)
    jobs = Jobs()
    monkeypatch.setattr(bench_module, "run_job", jobs)
    assert state_of(run)[1]["step"] < steps
    for out in ("killed", "whole"):
        done = tandem(*command, "--out", tmp_path / out)
        assert done.status == 0, done.err
    trained = [job for job in jobs.done if isinstance(job, TrainingJob)]
    assert len(trained) == 2
    assert_same_state(run, tmp_path / "whole/settings/pix2pix-dropout=false/seed-0")
    costs = [json.loads(line)["step"] for line in (run / "cost.jsonl").read_text().splitlines()]
    assert costs == list(range(1, steps + 1))


def _until_unused(run: Path) -> None:
    """Wait until nobody trains in a folder any more."""
    from tandem.errors import CheckpointError  # noqa: PLC0415
    from tandem.training.run_folder import RunFolder  # noqa: PLC0415

    end = time.monotonic() + TIMEOUT
    while True:
        try:
            with RunFolder(run):
                return
        except CheckpointError:
            assert time.monotonic() < end, "the process goes on without its bench"
            time.sleep(0.05)


def test_ctrl_c_ends_the_training_with_its_state_saved(pairs: Path, tmp_path: Path) -> None:
    words = ("--seeds", "0", "--steps", "100000", "--metrics", "l1", "--size", "32", *HERE)
    pid = fork("bench", "quality", pairs, "--presets", PIX2PIX, "--common", OF_ALL, *words, "--out", tmp_path)
    run = tmp_path / "settings/pix2pix-dropout=false/seed-0"
    until(lambda: num_log_lines(run) >= 4, pid)
    os.kill(pid, signal.SIGINT)
    assert wait_for(pid) == 128 + signal.SIGINT
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert state_of(run)[1]["step"] == last["step"]


def test_a_run_that_fails_is_named_and_the_others_go_on(pairs: Path, tmp_path: Path, jobs: Jobs) -> None:
    broken = tmp_path / "settings/pix2pix-dropout=false/seed-0"
    broken.mkdir(parents=True)
    (broken / "notes.txt").write_text("mine")
    words = ("--seeds", "0,1", "--steps", "1", "--metrics", "l1", "--num-inputs", "0")
    done = quality(pairs, tmp_path, *words, settings=PIX2PIX)
    assert done.status == 1
    assert f"training {PIX2PIX} with seed 0 failed (exit status 1)" in done.err
    assert f"Not all runs of {PIX2PIX} are there yet" in done.out + done.err
    (row,) = json.loads((tmp_path / "quality.json").read_text())["rows"]
    assert [run["name"] for run in row["runs"]] == ["seed-1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--presets", "tandm", "--steps", "1"), "no preset or method 'tandm'. Did you mean tandem"),
        (("--presets", "tandem", "--size", "32"), "how long tandem trains is not said"),
        (("--presets", "tandem:steps=3", "--cpu-minutes", "1"), "says how long it trains, and so do the minutes"),
        (("--presets", "tandem", "--gpu-minutes", "1"), "--gpu-minutes is for runs on a GPU"),
        (("--presets", "tandem", "--steps", "1", "--cpu-minutes", "1"), "--steps and --cpu-minutes all say"),
        (
            ("--presets", "tandem:direction=BtoA,pix2pix", "--steps", "1"),
            "must have one --direction, but tandem:direction=BtoA has BtoA and pix2pix has AtoB",
        ),
        (("--presets", "pix2pix", "--steps", "1", "--metrics", "l2"), "there is no metric 'l2'"),
        (
            ("--presets", "pix2pix", "--steps", "1", "--split", "val", "--plan", "p"),
            "--presets, --steps and --plan both",
        ),
        (("--presets", "pix2pix", "--steps", "1", "--features", "none.onnx"), "--features none.onnx is no file"),
        ((), "give --presets, what is to be trained"),
        (("--models", "nothing"), "--models names what are no models"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    pairs: Path, tmp_path: Path, jobs: Jobs, words: tuple[str, ...], message: str
) -> None:
    refused = tandem("bench", "quality", pairs, "--out", tmp_path / "out", *HERE, *words)
    assert refused.status in {1, 2}
    assert message in refused.err
    assert jobs.done == []


def test_data_of_two_domains_is_refused_for_methods_of_pairs(tmp_path: Path, jobs: Jobs) -> None:
    domains = write_dataset(tmp_path / "domains", layout="unpaired", size=32, num_train=3, num_val=0, num_test=2)
    refused = quality(domains, tmp_path / "out", "--steps", "1")
    assert refused.status == 1
    assert "choose a method for unpaired data" in refused.err
    assert jobs.done == []


def test_data_without_a_held_out_split_is_refused(pairs: Path, tmp_path: Path, jobs: Jobs) -> None:
    shutil.copytree(pairs, tmp_path / "data", ignore=shutil.ignore_patterns("test", "val"))
    refused = quality(tmp_path / "data", tmp_path / "out", "--steps", "1")
    assert refused.status == 1
    assert "neither a split test nor val" in refused.err
    assert jobs.done == []
    shutil.copytree(pairs / "val", tmp_path / "data" / "val")
    done = quality(
        *(tmp_path / "data", tmp_path / "out", "--steps", "1", "--seeds", "0", "--metrics", "l1", "--num-inputs", "0"),
        settings=PIX2PIX,
    )
    assert done.status == 0, done.err
    assert json.loads((tmp_path / "out/quality.json").read_text())["conditions"]["held-out split"] == "val, 2 inputs"


def test_what_all_runs_hold_out_is_measured(whole: Whole, pairs: Path, tmp_path: Path, jobs: Jobs) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(pairs, data, ignore=shutil.ignore_patterns("test", "val"))
    everything = {file.name for file in (data / "train").iterdir()}
    words = (data, out, "--steps", "1", "--seeds", "0", "--metrics", "l1,kid", "--features", whole.features)
    words += ("--num-inputs", "2", "--val-split", "2")
    done = quality(*words, settings=PIX2PIX)
    assert done.status == 0, done.err
    assert json.loads((out / "quality.json").read_text())["conditions"]["held-out split"] == "val, 2 inputs"
    (folder,) = (out / "settings").iterdir()
    assert json.loads((folder / "seed-0/model/model.json").read_text())["training"]["num_pairs"] == len(everything) - 2
    measured = json.loads((folder / "seed-0/evaluation/report.json").read_text())["data"]
    real = json.loads((out / "real/seed-0/report.json").read_text())["data"]
    splits = hold_out(find_splits(data), 2)
    train, val = ([pair.name for pair in splits[name].sequences()["ab"]] for name in ("train", "val"))
    assert {*train, *val} == {Path(name).stem for name in everything}
    assert (measured["split"], sorted(measured["names"])) == ("val", sorted(val))
    assert set(real["names"]) <= set(train)
    again = quality(*words, settings=PIX2PIX)
    assert (again.status, len(jobs.done)) == (0, len(jobs.done))
    other = quality(data, tmp_path / "other", "--steps", "1", settings=f"{PIX2PIX},{TANDEM},val_split=2")
    assert other.status == 2
    assert "must have one --val-split" in other.err


def test_another_budget_or_other_options_need_another_folder(whole: Whole) -> None:
    others = [
        ((*whole.words[:3], "4"), "is for 3 steps of each setting, and not for 4 steps"),
        ((*whole.words[:4], "--no-flip"), "flip: was True, is False"),
    ]
    for words, message in others:
        refused = quality(whole.data, whole.out, "--features", whole.features, *words)
        assert refused.status == 2
        assert message in refused.err
