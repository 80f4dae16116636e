"""A run's options as a YAML text that a person reads and `--config` takes back."""

import dataclasses
import json
import re
from typing import Any

from tandem.config.run import RunConfig


def to_yaml(config: RunConfig) -> str:
    """Every option of `config` with its help as a comment, in groups."""
    lines = ["# Options of a Tandem run: tandem train DATA --out RUN --config THIS_FILE", ""]
    lines += [f"method: {config.objective.method}"]
    groups: dict[str, Any] = {"data": config.data, "method": config.objective, "training": config.training}
    for title, group in groups.items():
        lines += ["", f"# --- {title} ---"]
        for field in dataclasses.fields(group):
            lines.append(f"{field.name}: {_scalar(getattr(group, field.name))}  # {field.metadata['help']}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    # To YAML 1.1 a number with an exponent is text unless it has a point as well.
    return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value, ensure_ascii=False))
