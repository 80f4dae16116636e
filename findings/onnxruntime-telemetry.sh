#!/usr/bin/env bash
# onnxruntime 1.32.0 (the wheel for Linux)
#
# A library for running models offline is not expected to know its user. The import alone makes an identifier of the machine
# below the home folder, and a database of what is to be reported, before there is a session; disable_telemetry_events(),
# which is there to turn reports off, can only be called after the import, and comes too late for both. The variable
# ORT_DISABLE_TELEMETRY has to be set before the import. (In surroundings that look like CI nothing is written.)
#
#     import: deviceid (36 bytes), onnxruntime.db
#     import and disable_telemetry_events(): deviceid (36 bytes), onnxruntime.db
#     ORT_DISABLE_TELEMETRY=1 and import: nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 onnxruntime==1.32.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import subprocess
import sys
from pathlib import Path

CASES = {
    "import": ("import onnxruntime", {}),
    "import and disable_telemetry_events()": ("import onnxruntime as o; o.disable_telemetry_events()", {}),
    "ORT_DISABLE_TELEMETRY=1 and import": ("import onnxruntime", {"ORT_DISABLE_TELEMETRY": "1"}),
}

found = []
for number, (what, (code, variables)) in enumerate(CASES.items()):
    home = Path(sys.argv[1], f"home-{number}")
    home.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **variables}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    files = {path.name: path.stat().st_size for path in sorted(home.rglob("*")) if path.is_file()}
    named = [f"{name} ({files[name]} bytes)" if name == "deviceid" else name for name in files if "-" not in name]
    print(f"{what}:", ", ".join(named) or "nothing")
    found.append(files)
for files in found[:2]:
    assert files["deviceid"] == 36 and "onnxruntime.db" in files, found
assert found[2] == {}, found
PYTHON
