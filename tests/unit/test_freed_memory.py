"""On a CPU with glibc a training process keeps the memory that a step has freed for the next one."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back at once")

FAULTS = """
import resource, sys, torch
from tandem.training.device import configure_backends
if sys.argv[1] == "ours":
    configure_backends(torch.device("cpu"), deterministic=False)
def step():
    weights = [torch.ones(2**24) for _ in range(2)]  # 64 MiB each
cleared = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    cleared.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(cleared))
"""
PAGES = 2 * 2**26 // 4096


def pages_cleared(who: str, **environment: str) -> int:
    """Pages that the system had to clear for a step, the least of several equal ones.

    The first one takes its memory from the system in any case, and sometimes another does, when something small has
    settled where a large piece was.
    """
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, who], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_a_step_uses_the_memory_of_those_before_it() -> None:
    assert pages_cleared("plain") > 0.9 * PAGES
    assert pages_cleared("ours") < 0.05 * PAGES


def test_settings_of_the_environment_prevail() -> None:
    assert pages_cleared("ours", MALLOC_MMAP_THRESHOLD_="1048576") > 0.9 * PAGES
