"""A run's options as a YAML text that a person reads and `--config` takes back."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tandem.config.run import RunConfig

MAX_BYTES = 2**20


def method_in_files(files: Sequence[str]) -> str | None:
    """The method that the last of these files that names one sets; None if none does.

    Files that cannot be read are left to the parser of the command line, which says what is wrong with them.
    """
    found = None
    for file in files:
        try:
            if Path(file).stat().st_size <= MAX_BYTES:
                values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
                found = str(values["method"]) if isinstance(values, dict) and "method" in values else found
        except (OSError, ValueError, yaml.YAMLError):
            continue
    return found


def to_yaml(config: RunConfig) -> str:
    """Every option of `config` with its help as a comment, in groups."""
    lines = ["# Options of a Tandem run: tandem train DATA --out RUN --config THIS_FILE", ""]
    lines += [f"method: {config.objective.method}"]
    for title, group in zip(("data", "method", "training", "validation"), config.groups, strict=True):
        lines += ["", f"# --- {title} ---"]
        for field in dataclasses.fields(group):
            lines.append(f"{field.name}: {_scalar(getattr(group, field.name))}  # {field.metadata['help']}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    # To YAML 1.1 a number with an exponent is text unless it has a point as well.
    return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value, ensure_ascii=False))
