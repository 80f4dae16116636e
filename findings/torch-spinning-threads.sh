#!/usr/bin/env bash
# torch 2.13.0 (CPU wheel for Linux), with its own libgomp
#
# Beside other programs a process on two threads should get about what one on a single thread gets, or more. OpenMP's
# threads spin while they wait for each other, though, and take the cores from what they wait for: beside two busy
# processes on two cores, small convolutions on two threads take eight times as long as on one. OMP_WAIT_POLICY in the
# environment ends that, but only if it is there before torch is imported: set afterwards it does nothing, without a word.
#
#     one thread                          1.00 of the rate of one thread
#     two threads                         0.12 of the rate of one thread
#     two threads, set after the import   0.13 of the rate of one thread
#     two threads, set before it          1.22 of the rate of one thread
#
# So a program that computes beside others sets it before it imports torch, and says so to those who import it later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0
cat > "$folder/work.py" <<'PYTHON'
import os
import sys
import time

way, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if way == "before":
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import torch

if way == "after":
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
torch.set_num_threads(threads)
layers = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(20)))
x, done = torch.zeros(1, 16, 64, 64), 0
with torch.inference_mode():
    layers(x)
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        layers(x)
        done += 1
print(done / (time.perf_counter() - begun))
PYTHON
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import statistics
import subprocess
import sys

folder = sys.argv[1]
cores = sorted(os.sched_getaffinity(0))[:2]
if len(cores) < 2:
    sys.exit("needs two cores")
os.sched_setaffinity(0, cores)  # all that is started here shares them
names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
clean = {name: value for name, value in os.environ.items() if name not in names}
ways = {
    "one thread": ("none", 1),
    "two threads": ("none", 2),
    "two threads, set after the import": ("after", 2),
    "two threads, set before it": ("before", 2),
}
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
rates = {name: [] for name in ways}
try:
    for _ in range(3):
        for name, (way, threads) in ways.items():
            command = [sys.executable, f"{folder}/work.py", way, str(threads), "3"]
            rates[name].append(float(subprocess.run(command, env=clean, check=True, stdout=subprocess.PIPE).stdout))
finally:
    for process in busy:
        process.kill()
base = statistics.median(rates["one thread"])
found = {name: statistics.median(rate) / base for name, rate in rates.items()}
for name, ratio in found.items():
    print(f"{name:<36}{ratio:.2f} of the rate of one thread")
assert found["two threads"] < 0.3 and found["two threads, set after the import"] < 0.3
assert found["two threads, set before it"] > 0.5
PYTHON
