import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from tandem.report.progress import RateMeter, TaskProgress, TrainingProgress


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plain_console() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=40)


def lines_of(console: Console) -> list[str]:
    text = console.file.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), "control codes in plain output"
    return text.splitlines()


def test_plain_lines_come_at_most_every_interval_and_count_right():
    clock, console = Clock(), plain_console()
    with TrainingProgress(1000, console=console, interval_seconds=30, clock=clock) as progress:
        for step in range(1, 101):
            clock.now += 1
            progress.update(4 * step, losses={"l1": 0.25, "gan": 1.5}, memory_mb=812, message="saved")
    lines = lines_of(console)
    assert lines == [
        "training: 4/1,000 images (0 %) · 4/s · 4 min 09 s left · l1 0.25 gan 1.5 · 812 MB · saved",
        "training: 124/1,000 images (12 %) · 4/s · 3 min 39 s left · l1 0.25 gan 1.5 · 812 MB · saved",
        "training: 244/1,000 images (24 %) · 4/s · 3 min 09 s left · l1 0.25 gan 1.5 · 812 MB · saved",
        "training: 364/1,000 images (36 %) · 4/s · 2 min 39 s left · l1 0.25 gan 1.5 · 812 MB · saved",
        "training: done, 400 images in 1 min 40 s · l1 0.25 gan 1.5 · 812 MB · saved",
    ]


def test_a_resumed_run_counts_only_what_this_process_did():
    clock, console = Clock(), plain_console()
    with TrainingProgress(50_200, images_seen=50_000, console=console, clock=clock) as progress:
        assert progress.rate is None
        assert progress.seconds_left is None
        clock.now += 10
        progress.update(50_100, losses={}, memory_mb=None)
        assert progress.rate == pytest.approx(10)
        assert progress.seconds_left == pytest.approx(10)
    assert lines_of(console) == [
        "training: 50,100/50,200 images (100 %) · 10/s · 10 s left",
        "training: done, 100 images in 10 s",
    ]


def test_the_rate_forgets_what_is_older_than_a_minute():
    clock = Clock()
    meter = RateMeter(0, clock=clock)
    done = 0
    for speed, seconds in ((100, 300), (10, 120)):
        for _ in range(seconds * 10):
            clock.now += 0.1
            done += speed // 10
            meter.update(done)
    assert meter.rate == pytest.approx(10, rel=0.02)
    assert meter.seconds_left(done + 100) == pytest.approx(10, rel=0.02)
    assert meter.seconds_left(None) is None


def test_updates_that_are_rarer_than_the_window_still_give_a_rate():
    clock = Clock()
    meter = RateMeter(0, clock=clock)
    for step in range(1, 6):
        clock.now += 200
        meter.update(2 * step)
        assert meter.rate == pytest.approx(0.01)


def test_an_endless_run_has_no_remaining_time():
    clock, console = Clock(), plain_console()
    with TrainingProgress(None, console=console, clock=clock) as progress:
        clock.now += 2
        progress.update(8, losses={"l1": float("nan")}, memory_mb=None)
        assert progress.seconds_left is None
    assert lines_of(console)[0] == "training: 8 images · 4/s · l1 nan"


def test_an_error_passes_through_and_is_said():
    console = plain_console()

    def fail() -> None:
        with TaskProgress("sampling", 3, "images", console=console) as progress:
            progress.advance()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert lines_of(console)[-1].startswith("sampling: ended early, 1 images in ")


def test_task_counts_by_steps_or_by_totals():
    clock, console = Clock(), plain_console()
    with TaskProgress("checking [images]", None, "files", console=console, clock=clock) as progress:
        clock.now += 1
        progress.advance(3)
        progress.callback(5, 10)
        assert (progress.done, progress.total) == (5, 10)
        clock.now += 31
        progress.advance(5)
    lines = lines_of(console)
    assert lines[0] == "checking [images]: 3 files · 3/s"
    assert lines[1].startswith("checking [images]: 10/10 files (100 %)")
    assert lines[2] == "checking [images]: done, 10 files in 32 s"


def test_a_terminal_gets_a_live_bar_with_the_same_numbers():
    console = Console(file=io.StringIO(), force_terminal=True, width=160, legacy_windows=False)
    with TrainingProgress(100, console=console) as progress:
        progress.update(40, losses={"l1": 0.25}, memory_mb=100)
    text = console.file.getvalue()
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "40/100 images (40 %)" in plain
    assert "l1 0.25" in plain


def test_a_log_file_stays_plain_even_if_colour_is_forced():
    script = (
        "from tandem.report.progress import TrainingProgress\n"
        "with TrainingProgress(10) as progress:\n"
        "    progress.update(10, losses={'l1': 1.0}, memory_mb=1.0)\n"
    )
    environment = {"FORCE_COLOR": "1", "TERM": "xterm", "PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert result.stdout == ""
    assert "\x1b" not in result.stderr
    assert "10/10 images (100 %)" in result.stderr


def test_a_narrow_terminal_shows_the_bar_rather_than_the_losses() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)
    with TrainingProgress(100, console=console) as progress:
        progress.update(40, losses={"l1": 0.25, "kl": 0.1, "latent": 0.3}, memory_mb=100)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert "l1" not in plain
    assert "training" in plain
    assert "40/100 images (40 %)" in plain


def test_of_processes_that_train_together_one_shows_its_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        with TaskProgress(f"work of {rank}", 3, "pairs") as progress:
            progress.advance()
    said = capsys.readouterr().err
    assert "work of 0" in said
    assert "work of 1" not in said
