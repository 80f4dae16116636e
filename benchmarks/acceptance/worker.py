"""One part of the acceptance run, in this process: ``python -m benchmarks.acceptance.worker NAME SETTINGS RESULT``."""

import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

from benchmarks.acceptance.parts import run_part
from benchmarks.acceptance.settings import Settings, SkippedPart


def main(arguments: list[str]) -> None:
    """Run the part and write what it gave, or why it could not."""
    name, settings_text, result = arguments
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    found: dict[str, Any]
    try:
        outcome = run_part(name, Settings.from_text(settings_text))
        status = "failed" if outcome.failures else "ok"
        found = {"status": status, "result": outcome.result, "markdown": outcome.markdown}
        if outcome.failures:
            found["error"] = "\n".join(outcome.failures)
    except SkippedPart as reason:
        found = {"status": "skipped", "error": str(reason)}
    except Exception as error:  # whatever it is, it belongs into the report, and the other parts run
        traceback.print_exc()
        found = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
