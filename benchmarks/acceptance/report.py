"""The report of an acceptance run: one JSON file and one Markdown file."""

import json
from typing import Any

from benchmarks.acceptance.settings import Settings
from tandem.files import atomic_write_text

SIGNS = {"ok": "passed", "failed": "**failed**", "timeout": "**took too long**", "skipped": "skipped"}


def write_report(settings: Settings, parts: dict[str, Any]) -> None:
    """Write all that is known so far."""
    header = parts.get("environment", {}).get("result", {})
    text = json.dumps({"environment": header, "parts": parts}, indent=1)
    atomic_write_text(settings.out / "report.json", text + "\n")
    atomic_write_text(settings.out / "report.md", _markdown(parts))


def _markdown(parts: dict[str, Any]) -> str:
    lines = ["# Acceptance on a GPU", ""]
    if any(part["smoke"] for part in parts.values()):
        lines += ["**Small settings: the numbers say only that everything runs.**", ""]
    lines += ["| Part | State | Seconds | Date | |", "|---|---|---|---|---|"]
    for name, part in parts.items():
        note = part.get("error", "").replace("\n", "; ").replace("|", "\\|")
        lines.append(f"| {name} | {SIGNS[part['status']]} | {part['seconds']:.0f} | {part['date']} | {note[:300]} |")
    for name, part in parts.items():
        if part.get("markdown"):
            lines += ["", f"## {name}", "", part["markdown"].strip()]
        if part.get("output"):
            lines += ["", f"## {name}: the end of its output", "", "```", *part["output"], "```"]
    return "\n".join(lines) + "\n"
