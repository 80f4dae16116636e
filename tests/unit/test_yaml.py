"""The YAML that a person reads: every option once, with its meaning, in groups."""

import dataclasses

import pytest

from tandem.config.options import options_of
from tandem.config.run import RunConfig, from_flat, to_flat
from tandem.config.yaml import to_yaml
from tandem.errors import ConfigError


def test_every_option_stands_there_once_with_its_meaning() -> None:
    config = RunConfig()
    lines = to_yaml(config).splitlines()
    for group in config.groups:
        assert len(options_of(type(group))) == len(dataclasses.fields(group))
        for one in options_of(type(group)):
            found = [line for line in lines if line.startswith(f"{one.field}: ")]
            assert len(found) == 1
            assert found[0].endswith(f"  # {one.declared.help}")
    assert [line for line in lines if line.startswith("# ---")] == [
        "# --- data ---",
        "# --- method ---",
        "# --- training ---",
        "# --- validation ---",
    ]
    assert len([line for line in lines if ": " in line and not line.startswith("#")]) == len(to_flat(config))


def test_values_are_written_as_yaml_reads_them() -> None:
    text = to_yaml(from_flat({"size": "64x32", "learning_rate": 1e-05, "lambda_kl": 2.5e-07, "flip": False}))
    values = dict(line.partition("  #")[0].split(": ", 1) for line in text.splitlines() if "  #" in line)
    assert values["size"] == '"64x32"'
    assert values["learning_rate"] == "1.0e-05"  # without the point, YAML 1.1 reads text
    assert values["lambda_kl"] == "2.5e-07"
    assert (values["flip"], values["steps"], values["device"]) == ("false", "null", '"auto"')


@pytest.mark.parametrize("method", [["tandem"], {"a": 1}, 3])
def test_a_method_that_is_no_name(method: object) -> None:
    with pytest.raises(ConfigError, match="unknown method"):
        from_flat({"method": method, "size": 32})
