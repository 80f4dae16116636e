"""The command that a run's page gives to copy trains the same model."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from tandem.commands import train
from tandem.config.command_line import changed_options, train_command
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import METHODS, RunConfig, from_flat
from tandem.config.variants import VARIANTS
from tandem.names import public_location


def parsed(command: str, monkeypatch: pytest.MonkeyPatch) -> tuple[RunConfig, Any, Path, Any]:
    """What ``tandem train`` makes of a command that was copied into a shell."""
    program, name, *words = shlex.split(command.replace("\\\n", ""))
    assert (program, name) == ("tandem", "train")
    taken: list[Any] = []

    def catch(*given: Any) -> int:
        taken.append(given)
        return 0

    monkeypatch.setattr(train, "_train", catch)
    assert train.main(words) == 0
    return taken[0][:4]


CONFIGS: dict[str, dict[str, Any]] = {
    **{f"method {name}": {"method": name} for name in (*METHODS, *VARIANTS)},
    **{f"preset {name}": preset_options(name) for name in list(PRESETS)[::6]},
    "all kinds of values": {
        "method": "bicyclegan",
        "size": 64,
        "flip": False,
        "lambda_kl": 1e-05,
        "generator_depth": 5,
        "validate_every": 10,
        "validate_metrics": "l1,ssim",
        "epochs": None,
        "steps": 10,
    },
}


@pytest.mark.parametrize("flat", CONFIGS.values(), ids=CONFIGS)
def test_the_command_is_read_as_the_same_options(flat: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_flat(flat)
    command = train_command(config, ["my data", Path("b;c")], Path("runs/it's"))
    read, data, out, data_b = parsed(command, monkeypatch)
    assert read == config
    assert (data, out, data_b) == (Path("my data"), Path("runs/it's"), Path("b;c"))
    assert max(map(len, command.splitlines())) <= 140


def test_only_what_differs_is_named() -> None:
    assert changed_options(from_flat({"method": "cyclegan"})) == []
    (one,) = changed_options(from_flat({"method": "cyclegan", "batch_size": 4}))
    assert (one.option.flag, one.value, one.default) == ("--batch-size", 4, 1)  # the default of CycleGAN, not of all


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://host/shards?token=secret", "https://host/shards"),
        ("https://me:secret@host:8080/shards/#secret", "https://host:8080/shards/"),
        ("s3://secret@bucket", "s3://bucket"),
        ("https://host?token=a/b@c", "https://host"),
        ("https://host/with@sign/x", "https://host/with@sign/x"),
        ("memory://shards", "memory://shards"),
        (Path("a?b@c"), "a?b@c"),
    ],
)
def test_secrets_of_a_url_are_no_part_of_a_page(location: str | Path, shown: str) -> None:
    assert public_location(location) == shown
    assert "secret" not in train_command(from_flat({"method": "cut"}), [location], Path("out"))
