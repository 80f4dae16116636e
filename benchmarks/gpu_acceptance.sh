#!/usr/bin/env bash
# Everything that needs a GPU, in one command: tests, benchmarks, resume, a real training with samples to look at.
# Needs Python with torch 2.8+ and numpy, Pillow, rich, safetensors, fsspec; no network, and Tandem need not be
# installed. Without a GPU it runs small settings on the CPU.
#
#     bash benchmarks/gpu_acceptance.sh OUT [--data FACADES] [--part NAME …] [--smoke]
#
# OUT gets report.json, report.md and a few pictures. See benchmarks/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH=$root/src:$root:$root/tools${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m benchmarks.acceptance "$@"
