#!/usr/bin/env bash
# Everything that docs/experiments.md lists as waiting for a GPU, in one command. Needs an environment with torch (CUDA),
# numpy, Pillow, jsonargparse, rich, safetensors and pytest; Tandem itself need not be installed.
#
#     bash tools/gpu_checks.sh [OUT]
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/gpu}
mkdir -p "$out"
export PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
status=0

part() {
  echo "=== $*"
  "$@" 2>&1 | tee -a "$out/log.txt" || status=1
}

python3 -c 'import torch; print(torch.__version__, torch.cuda.get_device_name())' || exit 2
part python3 -m pytest -m gpu -p no:cacheprovider
part python3 tools/check_reference.py tests/fixtures/reference/*/
for batch in 2 16; do
  part python3 -m tandem bench train --device cuda --batch-size "$batch" --rounds 20
done
part python3 -m tandem bench sample --device cuda --rounds 20
for preset in pix2pix-facades horse2zebra fastcut-horse2zebra; do
  part python3 -m tandem bench train --device cuda --preset "$preset" --rounds 20
done
part python3 -m tandem demo --device cuda --out "$out/demo"
exit $status
