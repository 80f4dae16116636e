"""The plan of a bench: how many steps fit into a time, lengths and schedules, what was typed as settings."""

import dataclasses
import json
import math
import random
from pathlib import Path

import pytest

from tandem.bench.quality.costs import COST_NAME, CostLog, read_costs, whole_cost
from tandem.bench.quality.plan import (
    Budget,
    Plan,
    StepTimes,
    planned,
    read_plan,
    require_same,
    steps_within,
    timed_variants,
    together,
    with_length,
    write_plan,
)
from tandem.commands.bench_quality_settings import read_common, read_settings, resolve_settings
from tandem.config.run import RunConfig, from_flat, to_flat
from tandem.config.tandem import TandemConfig
from tandem.errors import ConfigError, DataError

SMALL = {"size": 32, "generator_filters": 4, "discriminator_filters": 4}


def test_as_many_steps_fit_as_counting_them_says() -> None:
    draw = random.Random(0)
    for _ in range(300):
        times = StepTimes(start=draw.uniform(0, 5), step=draw.uniform(0.01, 1), snapshot=draw.uniform(0, 3))
        every, seconds = draw.randint(1, 12), draw.uniform(0, 40)

        def cost(steps: int, times: StepTimes = times, every: int = every) -> float:
            return times.start + steps * times.step + math.ceil(steps / every) * times.snapshot

        found = steps_within(seconds, times, snapshot_every=every)
        assert found == 0 or cost(found) <= seconds + 1e-9
        assert cost(found + 1) > seconds - 1e-9


@pytest.mark.parametrize("steps", [1, 3, 7, 50, 1001])
def test_a_schedule_in_epochs_keeps_its_proportions_and_ends_with_the_run(steps: int) -> None:
    config = from_flat(
        {
            "method": "pix2pix",
            "lr_schedule": "linear",
            "lr_constant_epochs": 150,
            "lr_decay_epochs": 50,
            "batch_size": 2,
        }
    )
    shortened = with_length(config, steps, num_train=10)
    training = shortened.training
    epochs = math.ceil(steps * 2 / 10)
    assert shortened.total_steps(10) == steps
    assert training.lr_constant_epochs + training.lr_decay_epochs == epochs
    assert training.lr_decay_epochs == max(1, round(epochs / 4))


def test_a_run_without_such_a_schedule_changes_its_length_alone() -> None:
    config = from_flat({"method": "tandem", "epochs": 3} | SMALL)
    shortened = with_length(config, 12, num_train=10)
    assert {k: v for k, v in to_flat(shortened).items() if v != to_flat(config)[k]} == {"steps": 12, "epochs": None}


def test_late_discriminators_are_timed_for_as_long_as_they_are_there() -> None:
    def variants(**options: object) -> list[tuple[float, float | None]]:
        found = timed_variants(from_flat({"method": "tandem"} | SMALL | {"discriminator_layers": 2} | options))
        return [
            (share, one.objective.gan_from if isinstance(one.objective, TandemConfig) else None) for share, one in found
        ]

    assert variants() == [(1.0, 0.0)]  # not known before, so as if from the beginning
    assert variants(gan_from=0.25) == [(0.75, 0.0), (0.25, 0.999)]
    assert variants(lambda_gan=0.0) == [(1.0, None)]
    assert variants(method="bicyclegan", discriminator_layers=3, size=64) == [(1.0, None)]
    times = StepTimes(start=2, step=4, snapshot=1), StepTimes(start=3, step=2, snapshot=0.5)
    assert together([(0.75, times[0]), (0.25, times[1])]) == StepTimes(start=3, step=3.5, snapshot=1)


def config_of(**options: object) -> RunConfig:
    return from_flat({"method": "pix2pix", "dropout": False} | SMALL | options)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    setting = planned("x", config_of(), 7, num_train=5, times=StepTimes(start=1, step=2, snapshot=3))
    plan = Plan(budget=Budget(kind="cpu-minutes", amount=1.5), settings=(setting,))
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert not {"seed", "device", "threads"} & plan.settings[0].options.keys()
    assert plan.settings[0].config(seed=4, device="cpu").training.seed == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["settings"][0].update(steps=8), "do not have its 8 steps"),
        (lambda values: values.update(format=2), "the format 2"),
        (lambda values: values.update(other=1), "unknown entries: other"),
        (lambda values: values["budget"].update(kind="days"), "must be one of own, steps"),
    ],
)
def test_a_damaged_plan_is_refused(tmp_path: Path, change, message: str) -> None:
    plan = Plan(budget=Budget(), settings=(planned("x", config_of(), 7, num_train=5),))
    values = json.loads(json.dumps(dataclasses.asdict(plan)))
    change(values)
    (tmp_path / "plan.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=message):
        read_plan(tmp_path / "plan.json")


def test_a_setting_with_other_options_or_other_data_is_not_the_planned_one(tmp_path: Path) -> None:
    known = planned("x", config_of(), 7, num_train=5)
    require_same(known, config_of(seed=3), num_train=5, out=tmp_path)
    with pytest.raises(ConfigError, match=r"flip: was True, is False"):
        require_same(known, config_of(flip=False), num_train=5, out=tmp_path)
    with pytest.raises(ConfigError, match="training images: was 5, is 6"):
        require_same(known, config_of(), num_train=6, out=tmp_path)


def test_settings_are_split_at_commas_and_keep_their_options() -> None:
    text = "tandem, bicyclegan:generator_filters=16,steps=5000,pix2pix,some/where.yaml:latent-dim=3,facades,flip=false"
    found = read_settings(text)
    assert [(one.base, dict(one.options)) for one in found] == [
        ("tandem", {}),
        ("bicyclegan", {"generator_filters": "16", "steps": "5000"}),
        ("pix2pix", {}),
        ("some/where.yaml", {"latent_dim": "3"}),
        ("facades", {"flip": "false"}),
    ]
    assert found[1].name == "bicyclegan:generator_filters=16,steps=5000"
    assert found[3].name == "where:latent_dim=3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps=3,tandem", "stands before any setting"),
        ("tandem,tandem", "names tandem twice"),
        ("tandem:steps", "'steps' is no option with a value"),
        (" , ", "names no setting"),
    ],
)
def test_texts_that_are_no_settings(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(text)


def resolved(text: str, *, common: str = "", **data: object) -> dict[str, RunConfig]:
    return resolve_settings(read_settings(text), data=data, common=read_common(common))


def test_options_of_a_setting_win_over_common_ones_and_these_over_presets(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("method: bicyclegan\nlatent_dim: 5\nlearning_rate: 0.01\n")
    found = resolved(
        f"demo,demo-bicyclegan:learning_rate=0.5,size=128,pix2pix,{file}",
        common="learning_rate=0.25,encoder_filters=7",
        size=64,
        direction="BtoA",
    )
    assert [one.training.learning_rate for one in found.values()] == [0.25, 0.5, 0.25, 0.25]
    assert [one.data.size for one in found.values()] == [64, 128, 64, 64]
    assert {one.data.direction for one in found.values()} == {"BtoA"}
    assert [to_flat(one).get("encoder_filters") for one in found.values()] == [7, 7, None, 7]
    assert to_flat(found["mine"])["latent_dim"] == 5
    assert to_flat(found["demo"])["lambda_kl"] == 0.0001  # of the preset


@pytest.mark.parametrize(
    ("text", "common", "message"),
    [
        ("tandm", "", "no preset or method 'tandm'. Did you mean tandem"),
        ("facade", "", "no preset or method 'facade'. Did you mean facades"),
        ("pix2pix:lambda_l=3", "", "pix2pix: 'lambda_l'.*Did you mean lambda_l1"),
        ("pix2pix:seed=3", "", "'seed': the bench decides it"),
        ("pix2pix:flip=maybe", "", "pix2pix: --flip must be"),
        ("tandem,pix2pix", "generator_filter=3", "--common generator_filter.*Did you mean generator_filters"),
        ("pix2pix", "device=cpu", "--common device: the bench decides it"),
        ("pix2pix:validate_every=5,patience=2", "", "--patience ends a run before its length"),
    ],
)
def test_what_does_not_exist_is_named_with_what_is_meant(text: str, common: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(text, common=common)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        resolved("tandm,pix2pix:nothing=3")
    assert len(raised.value.problems) == 2


def test_the_cost_of_a_continued_training_counts_what_is_done_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"cpu": 0.0, "wall": 0.0}
    monkeypatch.setattr("tandem.bench.quality.costs.cpu_seconds", lambda: clock["cpu"])
    monkeypatch.setattr("time.monotonic", lambda: clock["wall"])
    path = tmp_path / COST_NAME

    def lines(log: CostLog, *steps: tuple[int, float, float, float]) -> None:
        for step, cpu, wall, memory in steps:
            clock.update(cpu=cpu, wall=wall)
            log.add(step, memory_mb=memory, finished=step == 6)

    lines(CostLog(path, resumed_step=0, begun=0.0), (1, 2.0, 3.0, 50), (4, 5.0, 6.0, 80), (5, 6.0, 7.0, 90))
    lines(CostLog(path, resumed_step=4, begun=100.0), (6, 1.5, 102.0, 70))  # killed after step 5, saved at 4
    assert [one.step for one in read_costs(path)] == [1, 4, 6]
    whole = whole_cost(read_costs(path), 6)
    assert whole is not None
    assert (whole.cpu_seconds, whole.seconds, whole.memory_mb) == (6.5, 8.0, 80)
    assert whole_cost(read_costs(path), 7) is None
