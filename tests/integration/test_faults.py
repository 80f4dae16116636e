"""One small trial of each kind of fault that no other test makes; `make faults` makes them by the thousand.

Kills of training: test_run_killed.py. Killed loading processes, a small /dev/shm and few open files:
test_data_loader_lost.py. Signals: test_run_signals.py. Folders: test_folders_shared.py. Servers: test_fetch_hostile.py,
test_cli_data_download.py. Lost ranks: test_torchrun.py, test_process_group.py. Memory: test_memory_short.py.
"""

import random
import resource
from pathlib import Path

import pytest

from drawing_page import runtime
from tools.faults.campaign import Bounds, go_on
from tools.faults.ground import Ground, leftovers
from tools.faults.kinds import ALL_KINDS, disks, kills, limits
from tools.faults.log import put_into, read_log, table
from tools.faults.trial import Kind, Verdict


@pytest.mark.parametrize("name", ["export-official", "prior"])
def test_killed_while_a_model_is_written(ground: Ground, name: str) -> None:
    """Before touches of files, and in the middle of their bytes: the same command then ends as if undisturbed."""
    command = ground.commands()[name]
    ground.expected(command)
    for count in (6, 16):
        out = ground.fresh(command)
        ended = ground.call(command.words(out), before=kills.killed_at_touch(count, out))
        assert ended.status in {-9, 0}, ended.text
        assert ground.ends_like_undisturbed(command) == ""
        assert leftovers(out) == []
    out = ground.fresh(command)
    assert ground.call(command.words(out), before=kills.killed_at_byte(3000)).status < 0
    assert len(leftovers(out)) > 0
    assert ground.ends_like_undisturbed(command) == ""
    assert leftovers(out) == []


@pytest.mark.parametrize(("name", "size"), [("data-preview", 5000), ("doctor", 5000), ("sign", 300)])
def test_killed_in_the_middle_of_a_file(ground: Ground, name: str, size: int) -> None:
    """The same command removes what is left of it."""
    if name == "sign":
        pytest.importorskip("model_signing", reason="the extra sign")
    command = ground.commands()[name]
    ground.expected(command)
    out = ground.fresh(command)
    assert ground.call(command.words(out), before=kills.killed_at_byte(size)).status < 0
    assert len(leftovers(out)) > 0
    assert ground.ends_like_undisturbed(command) == ""
    assert leftovers(out) == []


@pytest.mark.parametrize(("to", "name", "size"), [("official", "", 100_000), ("torch-export", "model.pt2", 300_000)])
def test_a_full_disk_under_weights_of_pytorch_is_a_message(ground: Ground, to: str, name: str, size: int) -> None:
    """PyTorch's own writer of files calls it a broken invariant, or ends the process."""
    out = ground.fresh()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ended = ground.call(["export", ground.run, "--to", to, "--out", out / name], before=limit)
    assert (ended.status, ended.complaint) == (1, "")
    assert "File too large" in ended.text
    assert not (out / name).exists()


def test_a_killed_export_of_the_page_can_be_repeated(ground: Ground) -> None:
    """A folder with some of its files is its own."""
    runtime()  # skips this test where it cannot be had
    command = ground.commands()["export-web"]
    out = ground.fresh(command)
    ended = ground.call(command.words(out), before=kills.killed_at_touch(17, out))
    assert ended.status == -9, ended.text
    assert not (out / "model.json").exists()
    again = ground.call(command.words(out))
    assert again.status == 0, again.text
    assert (out / "index.html").exists()


@pytest.mark.parametrize(
    "attempt", [disks.fill_disk, disks.freeze_disk, disks.damage_data, disks.damage_output, limits.jump_clocks]
)
def test_a_trial(ground: Ground, attempt: object, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {name: ground.commands()[name] for name in ("export", "prior")}
    monkeypatch.setattr(ground, "commands", lambda: quick | dict.fromkeys(disks.READERS, quick["prior"]))
    verdict = attempt(ground, random.Random(3))  # type: ignore[operator]
    assert verdict.wrong == "", verdict.did


def test_a_campaign_goes_on_where_it_was_stopped(ground: Ground, tmp_path: Path) -> None:
    def attempt(_: Ground, draws: random.Random) -> Verdict:
        number = draws.randrange(100)
        return Verdict(str(number), "odd" if number % 2 else "", is_possible=number != 0)

    kinds = [Kind("a", "A holds", attempt), Kind("b", "B holds", attempt)]
    path = tmp_path / "trials.jsonl"
    whole = go_on(ground, kinds, tmp_path / "whole.jsonl", Bounds(1.0, 6))
    go_on(ground, kinds, path, Bounds(1.0, 2))
    with path.open("a") as file:
        file.write('{"kind": "a", "num')
    entries = go_on(ground, kinds, path, Bounds(1.0, 6))
    assert sorted((entry.kind, entry.number, entry.did) for entry in entries) == sorted(
        (entry.kind, entry.number, entry.did) for entry in whole
    )
    assert len(read_log(path)) == 12
    failures = sum(bool(entry.wrong) for entry in entries if entry.kind == "a")
    assert f"| A holds | `a` | 6 | {failures} |" in table(entries, {"a": "A holds"})


def test_the_table_goes_between_its_comments(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- faults -->\nold\n<!-- /faults -->\nafter\n")
    put_into(page, "faults", "new\n")
    assert page.read_text() == "before\n<!-- faults -->\nnew\n<!-- /faults -->\nafter\n"


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in ALL_KINDS}) == len(ALL_KINDS)
