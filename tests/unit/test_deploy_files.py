"""The files of examples/deploy name what exists: commands and options that parse, files that are there, one port."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tandem.commands.serve import COMMAND
from tandem.config.options import Options

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
PORT = 8000


def instructions(name: str) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (DEPLOY / name).read_text())
    return [
        (line.split()[0], line.partition(" ")[2]) for line in text.splitlines() if line and not line.startswith("#")
    ]


def served(words: list[str]) -> Options:
    assert words[:2] == ["tandem", "serve"]
    own, _, _ = COMMAND.parse(words[2:])
    return own


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.gpu"])
def test_containers(name: str) -> None:
    found = instructions(name)
    named = dict(found)
    own: Any = served([*json.loads(named["ENTRYPOINT"]), *json.loads(named["CMD"])])
    assert (own.host, own.port, named["EXPOSE"]) == ("0.0.0.0", PORT, str(PORT))
    assert f"127.0.0.1:{PORT}/healthz" in named["HEALTHCHECK"]
    assert int(named["USER"].partition(":")[0]) > 0
    for what, rest in found:
        if what == "COPY" and not rest.startswith("--from"):
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source


def test_compose() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["tandem"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    served(["tandem", "serve", *service["command"]])


def test_kubernetes() -> None:
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (container,) = pod["containers"]
    own, limits, _ = COMMAND.parse(container["args"])
    assert container["ports"][0] == {"name": service["spec"]["ports"][0]["targetPort"], "containerPort": PORT}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert str(own.models[0]).startswith(container["volumeMounts"][0]["mountPath"])  # type: ignore[attr-defined]
    grace = limits.time_limit + container["lifecycle"]["preStop"]["sleep"]["seconds"]  # type: ignore[attr-defined]
    assert pod["terminationGracePeriodSeconds"] > grace
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in ("/healthz", "/readyz")


def test_the_requirements_without_pytorch_are_those_of_the_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["serve"]
    lines = [line for line in (ROOT / "requirements-serve.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["-r requirements-onnx.txt", *extra]
