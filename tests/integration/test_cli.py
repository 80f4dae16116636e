"""The command line as a whole: help, unknown commands, start-up time, presets."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import ENVIRONMENT, finish, start, tandem

from tandem.cli import COMMANDS
from tandem.config.presets import PRESETS
from tandem.version import __version__

PYTORCH = {"pytorch128", "pytorch128-conditional"}
HELP_SECONDS = 0.5
"""The bound that users notice; on a busy machine the tests allow twice as much."""


def test_help_is_quick() -> None:
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        finished = finish(start("--help"))
        took.append(time.perf_counter() - begun)
        assert finished.status == 0
    assert statistics.median(took) < 2 * HELP_SECONDS, took


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["trian"], [], ["data", "--help"]])
def test_nothing_heavy_is_imported_for_nothing(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom tandem.cli import main\nmain(sys.argv[1:])\n"
        "heavy = ('torch', 'numpy', 'PIL', 'rich', 'yaml', 'argparse', 'jinja2')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    finished = finish(start(*arguments, code=code))
    heavy = finished.out.splitlines()[-1]
    assert "torch" not in heavy
    if "data" not in arguments:
        assert heavy == "[]"


@pytest.mark.parametrize("command", ["train", "sample", "demo", "presets", "bench"])
def test_the_help_of_a_command_needs_no_torch(command: str) -> None:
    code = (
        "import sys\nfrom tandem.cli import main\ntry:\n main(sys.argv[1:])\nfinally:\n print('torch' in sys.modules)"
    )
    finished = finish(start(command, "--help", code=code))
    assert finished.status == 0
    assert finished.out.splitlines()[-1] == "False"


def test_samples_do_not_wait_for_the_compiler(model: Path, data: Path, tmp_path: Path) -> None:
    """To import Dynamo takes as long as to import PyTorch."""
    code = (
        "import sys\nfrom tandem.cli import main\nassert main(sys.argv[1:]) == 0\n"
        "print([name for name in ('torch', 'torch._dynamo') if name in sys.modules])"
    )
    finished = finish(start("sample", model, data / "test", "--pairs", "--out", tmp_path / "out", code=code))
    assert finished.status == 0, finished.out
    assert finished.out.splitlines()[-1] == "['torch']"


def test_help_lists_every_command() -> None:
    finished = tandem("--help")
    assert finished.status == 0
    assert all(f"\n  {name} " in finished.out for name in COMMANDS)
    assert tandem("-h") == tandem("help") == finished
    without = tandem()
    assert (without.status, without.out) == (2, finished.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    finished = tandem(command, "--help")
    assert finished.status == 0
    assert f"tandem {command}" in finished.out
    assert finished.err == ""


@pytest.mark.parametrize("action", ["demo", "check"])
def test_data_has_two_actions(action: str) -> None:
    assert f"tandem data {action}" in tandem("data", action, "--help").out
    assert tandem("data").status == 2
    wrong = tandem("data", action[:-1])
    assert wrong.status == 2
    assert f"Did you mean {action}?" in wrong.err


def test_version() -> None:
    assert tandem("--version").out == tandem("-V").out == f"tandem {__version__}\n"


def test_the_program_is_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "-V"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tandem {__version__}\n"


@pytest.mark.parametrize(("given", "meant"), [("trian", "train"), ("smaple", "sample"), ("preset", "presets")])
def test_an_unknown_command(given: str, meant: str) -> None:
    finished = tandem(given)
    assert finished.status == 2
    assert f"there is no command '{given}'. Did you mean '{meant}'?" in finished.err
    assert "Did you mean" not in tandem("qqq").err


def test_presets_are_listed() -> None:
    """Each with its options as the command line takes them: they can be copied, and give what the preset gives."""
    finished = tandem("presets")
    assert finished.status == 0
    blocks = {block.split(":")[0]: block for block in finished.out.split("\n\n")}
    for preset in PRESETS.values():
        words = blocks[preset.name].split("\n", 1)[1].split()
        by_name = tandem("train", "--preset", preset.name, "--print-config")
        assert by_name.status == 0
        assert by_name == tandem("train", *words, "--print-config")
        assert by_name.out != tandem("train", "--print-config").out
    assert max(len(line) for line in finished.out.splitlines() if line.startswith(" ")) <= 80


def test_an_unknown_preset() -> None:
    refused = tandem("train", "--preset", "facade", "--print-config")
    assert refused.status == 2
    assert "unknown preset 'facade'" in refused.err
    assert "facades" in refused.err


def test_a_preset_is_shown_in_full() -> None:
    shown = tandem("presets", "fastcut-horse2zebra").out
    assert "fastcut, a variant of cut" in shown
    assert "2007.15651" in shown
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.startswith("  --")}
    preset = PRESETS["fastcut-horse2zebra"]
    assert rows.keys() == {f"--{name.replace('_', '-')}" for name in preset.options}
    assert rows["--lr-constant-epochs"] == ["150", "0"]
    assert rows["--size"] == ["256", "256", "(the", "same)"]
    (command,) = (line.split()[1:] for line in shown.splitlines() if line.startswith("  tandem train"))
    assert tandem(*command, "--print-config") == tandem("train", "--preset", preset.name, "--print-config")
    assert "  tandem data download horse2zebra" in shown.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--method", "pix2pix"], {name for name, preset in PRESETS.items() if preset.method == "pix2pix"}),
        (["--method", "fastcut"], {"fastcut-horse2zebra", "fastcut-grumpifycat"}),
        (["--method", "bicyclegan", "--search", "Shoes"], {name for name in PRESETS if "shoes" in name} | PYTORCH),
    ],
)
def test_presets_are_filtered(words: list[str], expected: set[str]) -> None:
    names = {line.split(":")[0] for line in tandem("presets", *words).out.splitlines() if ": " in line[:30]}
    assert names == expected - ({"pix2pix-edges2shoes"} if "bicyclegan" in words else set())


def test_help_says_what_people_look_for() -> None:
    opening = tandem("train", "--method", "cut", "--help").out.split("\n\n")[1]
    assert opening.startswith("These are the options of cut. 'tandem train --method NAME --help' shows")
    assert "--print-config  " in tandem("train", "--help").out
    assert "--no-print-config" not in tandem("train", "--help").out
    sample = tandem("sample", "--help").out
    assert "--max-batch {auto,N}" in sample
    assert "--device {auto,cpu,cuda,cuda:N,mps}" in sample
    data = tandem("data", "--help").out
    assert "tandem data check DATA [DATA_B] [options]\n      read every image" in data


def test_names_of_commands_elsewhere() -> None:
    assert "Did you mean 'sample'?" in tandem("test").err
    assert "Did you mean 'data check'?" in tandem("check").err
