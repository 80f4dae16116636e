"""Whole runs: presets, length, the ways out to YAML and back in."""

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tandem.commands.train import command
from tandem.commands.unknown import unknown_key
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.options import options_of
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import RunConfig, differences, from_flat, to_flat
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.yaml import convert_values, read_file, to_yaml
from tandem.errors import ConfigError

GROUPS = (DataConfig, BicycleGANConfig, TrainingConfig, ValidationConfig)


def run(**options: Any) -> RunConfig:
    return from_flat({"method": "bicyclegan"} | options)


CHANGED = {
    "size": "128x256",
    "load_size": "143x286",
    "learning_rate": 1e-5,
    "lambda_kl": 1e-06,
    "lambda_l1": 3,
    "norm": "none",
    "conditional": True,
    "steps": 10**9,
    "generator_depth": 5,
    "device": "cuda:1",
}


@pytest.mark.parametrize("options", [{}, CHANGED, *(preset_options(name) for name in PRESETS)])
def test_flat_and_yaml_lead_back(options: dict[str, Any]) -> None:
    config = run(**options)
    assert from_flat(to_flat(config)) == config
    text = to_yaml(config)
    flat = yaml.safe_load(text)
    assert flat == to_flat(config)
    assert from_flat(flat) == config
    for group in map(type, config.groups):
        for one in options_of(group):
            (line,) = re.findall(rf"^{one.field}: .*$", text, re.MULTILINE)
            assert line.endswith(f"  # {one.declared.help}")


def test_the_command_line_reads_the_yaml_back(tmp_path: Path) -> None:
    config = run(**CHANGED)
    (tmp_path / "c.yaml").write_text(to_yaml(config), encoding="utf-8")
    values = read_file(tmp_path / "c.yaml")
    method = values.pop("method")
    known = [one for group in GROUPS for one in options_of(group)]
    options = convert_values(values, known, unknown=partial(unknown_key, command()))
    assert from_flat(options | {"method": method}) == config


def test_differences_name_what_changed() -> None:
    before, after = run(size=128, steps=10), run(size=128, steps=20, lambda_kl=0.5)
    assert differences(before, after) == ["lambda_kl: was 0.01, is 0.5", "steps: was 10, is 20"]
    assert differences(before, after, ignore=frozenset({"steps"})) == ["lambda_kl: was 0.01, is 0.5"]
    assert differences(before, before) == []
    other = from_flat({"method": "cut", "seed": 3})
    assert differences(from_flat({"method": "cyclegan"}), other) == [
        "method: was cyclegan, is cut",
        "init: was normal, is xavier",
        "seed: was 0, is 3",
    ]


def test_presets_are_those_of_the_published_recipes() -> None:
    recipes = {
        "facades": (200, 200, "BtoA", 3, (286, 286)),
        "maps": (200, 200, "BtoA", 3, (600, 600)),
        "night2day": (50, 50, "AtoB", 3, (286, 286)),
        "edges2shoes": (30, 30, "AtoB", 1, None),
        "edges2handbags": (15, 15, "AtoB", 1, None),
    }
    for name, (constant, decay, direction, channels, load) in recipes.items():
        config = from_flat(preset_options(name))
        training, method = config.training, config.objective
        assert (training.lr_schedule, training.lr_constant_epochs, training.lr_decay_epochs) == (
            "linear",
            constant,
            decay,
        )
        assert (config.data.direction, config.data.input_channels) == (direction, channels)
        assert config.data.crop_size == (256, 256)
        assert load in {None, config.data.resize_size}
        assert training.ema_halflife_images == 0
        assert config.total_steps(400) == (constant + decay) * 200
        assert method == dataclasses.replace(BicycleGANConfig(), dropout=True)


def test_seed_project_presets() -> None:
    plain, conditional = (from_flat(preset_options(f"pytorch128{suffix}")) for suffix in ("", "-conditional"))
    method = BicycleGANConfig(injection="input", norm="instance_affine", update_order="discriminator_first")
    assert plain.objective == method
    assert conditional.objective == dataclasses.replace(method, conditional=True)
    assert plain.data.crop_size == plain.data.resize_size == (128, 128)
    assert plain.training.lr_schedule == "constant"
    assert plain.training.batch_size == 2


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_works(name: str) -> None:
    assert PRESETS[name].name == name
    config = from_flat(preset_options(name))
    defaults = to_flat(from_flat({"method": PRESETS[name].method}))
    assert set(PRESETS[name].options) <= set(to_flat(config))
    config.total_steps(100)
    redundant = [key for key, value in PRESETS[name].options.items() if defaults[key] == value and key != "size"]
    assert redundant in ([], ["lr_schedule"], ["load_size"])


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'shoes': the presets are facades, maps"):
        preset_options("shoes")


@pytest.mark.parametrize(
    ("options", "pairs", "expected"),
    [
        ({"steps": 7}, 100, 7),
        ({"epochs": 3}, 100, 150),
        ({"epochs": 1, "batch_size": 4}, 10, 3),
        ({}, 10, 1000),
        ({"lr_schedule": "linear", "lr_constant_epochs": 2, "lr_decay_epochs": 3}, 11, 28),
        ({"lr_schedule": "cosine", "lr_decay_epochs": 4, "epochs": 2}, 10, 10),
    ],
)
def test_length_of_a_run(options: dict[str, Any], pairs: int, expected: int) -> None:
    assert run(**options).total_steps(pairs) == expected


def test_a_run_that_outlasts_its_schedule_is_refused() -> None:
    options = {"lr_schedule": "linear", "lr_constant_epochs": 2, "lr_decay_epochs": 3}
    assert run(**options, steps=25).total_steps(10) == 25
    with pytest.raises(ConfigError, match=r"the run lasts 6 epochs .26 steps on 10 pairs.*0 after 5 epochs"):
        run(**options, steps=26).total_steps(10)
