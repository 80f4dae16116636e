"""Translating a video that is interrupted, on a full disk, and with memory that does not grow with the video."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import finish, fork, leftovers, start, tandem, wait_for

from tandem.inference.video.gif import GifWriter
from tandem.inference.video.writing import ContainerWriter
from videos import moving_frames, see, see_gif, write_video

LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_the_target_as_it_was(model: Path, tmp_path: Path, name: str, sent: int) -> None:
    """Ctrl-C takes everything away; what a kill leaves is taken away by the next call, and nothing else."""
    video = write_video(tmp_path / "in.mkv", moving_frames(12), sounds=["flac"], **LOSSLESS)
    out = tmp_path / "results" / name
    out.parent.mkdir()
    out.write_bytes(b"of before")
    foreign = out.parent / ".other.mp4.1.tmp"
    foreign.write_bytes(b"of somebody else")

    def stop_at_a_frame() -> None:
        writer = GifWriter if name.endswith("gif") else ContainerWriter
        original, calls = writer.add, 0

        def adding(self: ContainerWriter, frame: object) -> None:
            nonlocal calls
            calls += 1
            if calls == 7:
                os.kill(os.getpid(), sent)
            original(self, frame)

        writer.add = adding

    status = wait_for(fork("sample", model, video, "--out", out, "--device", "cpu", before=stop_at_a_frame))
    assert status == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    assert out.read_bytes() == b"of before"
    mine = [path for path in leftovers(out.parent) if path != foreign]
    assert len(mine) == (0 if sent == signal.SIGINT else 1)
    finished = tandem("sample", model, video, "--out", out, "--device", "cpu")
    assert finished.status == 0, finished.err
    assert leftovers(out.parent) == [foreign]
    assert len(see(out).pixels if name == "out.mp4" else see_gif(out)[0]) == 12


FULL_DISK = """
import resource, signal, sys
from tandem.cli import main
sys.dont_write_bytecode = True  # Python takes a cache of code that a limit has cut short for a whole one
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
*words, first, second, third = sys.argv[1:]
for out in (first, second, third):
    sys.stderr.write(f"status {main([*words, '--out', out])}\\n")
"""


def test_a_full_disk(model: Path, tmp_path: Path) -> None:
    """Files may have no more than 3000 bytes in this process: it is said, and nothing stays."""
    video = write_video(tmp_path / "in.mkv", moving_frames(30), sounds=["flac"], **LOSSLESS)
    words = ["--device", "cpu", *(tmp_path / name for name in ("out.mp4", "out.mkv", "out.gif"))]
    finished = finish(start("sample", model, video, *words, code=FULL_DISK))
    assert finished.out.count("status 1") == finished.out.count("File too large") == 3, finished.out
    assert "Traceback" not in finished.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


MEASURE = """
import re, sys
from pathlib import Path
import torch
from tandem.cli import main
torch.set_num_threads(1)
model, out, *videos = sys.argv[1:]
for video in videos:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    assert main(["sample", model, video, "--out", out, "--device", "cpu", "--batch-size", "4"]) == 0
    print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize(("suffix", "frames"), [("mp4", 40), ("gif", 20)])
def test_memory_does_not_grow_with_the_length(
    make_bundle: Callable[..., Path], tmp_path: Path, suffix: str, frames: int
) -> None:
    """Ten times the frames (27 and 14 MB more as arrays, and as much again as outputs) need no more memory."""
    bundle = make_bundle("small", generator={"filters": 2})
    videos = [
        write_video(tmp_path / f"{count}.mp4", moving_frames(count, height=144, width=176), sounds=["aac"], rate=25)
        for count in (frames, frames, 10 * frames)  # the first one warms up
    ]
    finished = finish(start(bundle, tmp_path / f"out.{suffix}", *videos, code=MEASURE))
    assert finished.status == 0, finished.out
    _, short, long = (int(line.split()[1]) for line in finished.out.splitlines() if line.startswith("peak"))
    assert long - short < 16_000, f"{short} KiB, then {long} KiB"
