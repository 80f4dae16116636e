"""The documents say what is true: links, commands, options, presets, examples, order of the layers, code map."""

import ast
import importlib
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom.data
import pytest
import yaml
from PIL import Image

import tandem
from cyclegan_bundle import make_cyclegan
from tandem.cli import COMMANDS, main
from tandem.commands.bench import BENCHMARKS
from tandem.commands.data import ACTIONS
from tandem.commands.demo import keep_model
from tandem.commands.parser import Command
from tandem.config.classes import read_classes
from tandem.config.options import flag
from tandem.config.preset_tables import Preset
from tandem.config.presets import PRESETS
from tandem.config.run import METHODS
from tandem.data.array_files import write_image
from tandem.data.levels import levels_of_classes
from tandem.data.synthetic import write_dataset
from tandem.data.synthetic.shallows_files import ShallowsOptions, write_shallows
from tandem.inference.onnx.export import export_onnx
from tandem.training.resume import MAY_CHANGE_ON_RESUME
from videos import moving_frames, write_gif, write_video

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tandem"
DEMO_PICTURE = ROOT / "docs" / "images" / "demo.png"
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
GUIDE = {name: text for name, text in TEXTS.items() if name.startswith("docs/guide/")}
DATA_COMMANDS = [f"data {name}" for name in ACTIONS]
BENCH_COMMANDS = [f"bench {name}" for name in BENCHMARKS]
COMMAND_NAMES = [name for name in COMMANDS if name not in {"data", "bench"}] + DATA_COMMANDS + BENCH_COMMANDS
OTHER_FOLDERS = ("src/", "tests/", "tools/", "benchmarks/", "findings/", "examples/")
OUTSIDE_THE_PACKAGE = [
    *(f"benchmarks.{name}.__main__" for name in ("cost", "features", "loading", "profile", "scaling")),
    *(f"benchmarks.{name}.__main__" for name in ("serving", "threads", "web")),
    "tools.faults.__main__",
    "tools.fuzz_service",
]
README, ARCHITECTURE = (TEXTS[name] for name in ("README.md", "docs/architecture.md"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def section(text: str, title: str) -> str:
    """From a heading to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section '{title}'"
    return found[1]


def shell_lines(text: str) -> Iterator[list[str]]:
    for block in blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def command_lines() -> list[tuple[str, tuple[str, ...]]]:
    """All `tandem …` and `torchrun … -m tandem …` lines in blocks of code: document and arguments, no redirections."""
    found = []
    for name, text in TEXTS.items():
        for words in shell_lines(text):
            if words[0] in {"tandem", "torchrun"} and "tandem" in words:  # torchrun … -m tandem train …
                arguments = words[words.index("tandem") + 1 :]
                cut = next((i for i, word in enumerate(arguments) if word in {">", "|"}), len(arguments))
                found.append((name, tuple(arguments[:cut])))
    return found


COMMAND_LINES = command_lines()
OF_OTHERS = {"--nproc-per-node", "--max-restarts", "--shutdown-timeout", "--ntasks-per-node", "--ipc", "--no-deps"}
OF_OTHERS |= {"--hypothesis-seed"}
"""Options of torchrun, SLURM, Docker and pytest."""


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> list[tuple[str, str]]:
    found = [(name, target) for name, text in TEXTS.items() for target in re.findall(r"\]\(([^)\s]+)\)", prose(text))]
    return [(name, target) for name, target in found if not re.match(r"https?:", target)]


@pytest.mark.parametrize(("name", "target"), links())
def test_relative_links_resolve(name: str, target: str) -> None:
    address, _, anchor = target.partition("#")
    path = (ROOT / name).parent / address if address else ROOT / name
    if path.resolve() == DEMO_PICTURE:
        return  # has a test of its own
    assert path.exists(), f"{name} links to {target}"
    assert path.resolve().is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(path.read_text(encoding="utf-8")), f"{name} links to {target}"


def test_the_picture_of_the_readme_is_there() -> None:
    assert re.search(r"!\[.{40,}\]\(docs/images/demo\.png\)", README), (
        "the picture needs a text for those who don't see it"
    )
    assert DEMO_PICTURE.is_file(), "docs/images/demo.png is missing: make it with `make demo` and `make pictures`"
    with Image.open(DEMO_PICTURE) as picture:
        picture.verify()


class AcceptedError(Exception):
    """Raised instead of running a command whose arguments were accepted."""


@pytest.fixture
def run_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.yaml").write_text("lambda_kl: 0.02\n")
    (tmp_path / "runs" / "shoes").mkdir(parents=True)
    (tmp_path / "runs" / "shoes" / "config.yaml").write_text("lambda_kl: 0.02\n")  # a run to go on with
    for split in ("train", "test"):
        for side, low, high, dtype in (("A", 0, 4095, np.uint16), ("B", -1000, 3000, np.int16)):
            (tmp_path / "CT" / f"{split}{side}").mkdir(parents=True)
            slope = np.linspace(low, high, 256).astype(dtype).reshape(16, 16)
            write_image(tmp_path / "CT" / f"{split}{side}" / "1.tif", slope)
    (tmp_path / "latents.json").write_text("[[0, 0], [1, -1]]")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Command.values

    def stop(self: Command, arguments: list[str], defaults: Mapping[str, Any] | None = None) -> None:
        original(self, arguments, defaults)
        raise AcceptedError

    monkeypatch.setattr(Command, "values", stop)


@pytest.fixture
def examples(tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the examples name."""
    export_onnx(make_bundle("runs/shoes/model"), tmp_path / "shoes.onnx")
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    keep_model(tmp_path / "runs" / "shoes")
    ct = (["uint16", "int16"], [0, -1000], [4095, 3000])
    depths = (["float32", "uint16"], [0, 0], [12, 4000])
    for name, channels, (types, lows, highs) in (
        ("ct", (1, 1), ct),
        ("scenes", (6, 2), ct),
        ("shallows", (1, 6), depths),
    ):
        values = make_bundle(f"runs/{name}/model", channels=channels) / "model.json"
        manifest = json.loads(values.read_text())
        for side, count, kind, low, high in zip(("input", "output"), channels, types, lows, highs, strict=True):
            levels = {"type": kind, "low": [low] * count, "high": [high] * count, "fill": -1}
            manifest["preprocessing"][f"{side}_levels"] = levels
        values.write_text(json.dumps(manifest))
    for name in ("scene", "big"):
        write_image(tmp_path / f"{name}.tif", np.arange(16 * 16 * 6, dtype=np.uint16).reshape(16, 16, 6))
    make_bundle("runs/stack/model", channels=(4, 3))
    write_image(tmp_path / "radar.tif", np.arange(16 * 16, dtype=np.uint16).reshape(16, 16))
    for name in ("mask.png", "masks/1.png"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_image(tmp_path / name, np.eye(16, dtype=np.uint8))
    write_image(tmp_path / "optics.png", np.full((16, 16, 3), 200, np.uint8))
    (tmp_path / "series").mkdir()
    shutil.copy(str(pydicom.data.get_testdata_file("CT_small.dcm", download=False)), tmp_path / "series" / "IM001.dcm")
    (tmp_path / "volumes").mkdir()
    volume = np.arange(16 * 16 * 2, dtype=np.uint16).reshape(16, 16, 2)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "volumes" / "scan.nii.gz")
    make_cyclegan(tmp_path / "runs" / "horses" / "model")
    for folder in ("drawings", "horses", "zebras", "photos"):
        (tmp_path / folder).mkdir()
    pictures = ("drawing", "other", "reference", "drawings/1", "horse", "zebra", "horses/1", "zebras/2", "photos/3")
    for name in pictures:
        Image.new("RGB", (16, 16), (200, 60, 10)).save(tmp_path / f"{name}.png")
    for name in ("DATA", "datasets/demo"):
        write_dataset(tmp_path / name, size=16, num_train=2, num_val=1, num_test=2)
    write_shallows(tmp_path / "datasets" / "shallows", ShallowsOptions(num_train=1, num_val=1, num_test=1))
    write_dataset(tmp_path / "UNPAIRED", size=16, num_train=2, num_val=1, num_test=2, layout="unpaired")
    for split in ("train", "test"):
        for side, low, high, dtype in (("A", 0, 4095, np.uint16), ("B", -1000, 3000, np.int16)):
            (tmp_path / "CT" / f"{split}{side}").mkdir(parents=True)
            slope = np.linspace(low, high, 256).astype(dtype).reshape(16, 16)
            write_image(tmp_path / "CT" / f"{split}{side}" / "1.tif", slope)
        for side, image in (("A", np.arange(12, dtype=np.uint8).reshape(3, 4)), ("B", np.zeros((3, 4, 3), np.uint8))):
            (tmp_path / "STREETS" / f"{split}{side}").mkdir(parents=True)
            write_image(tmp_path / "STREETS" / f"{split}{side}" / "1.png", image)
    twelve = levels_of_classes(read_classes("12", "--classes-a"))
    make_bundle("runs/parsing/model", channels=(3, 12), output_levels=twelve)
    (tmp_path / "latents.json").write_text("[[0, 0], [1, -1]]")
    write_video(tmp_path / "video.mp4", moving_frames(3))
    write_gif(tmp_path / "anim.gif", [Image.fromarray(frame) for frame in moving_frames(3)], 100)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("parse_only", "run_yaml")
@pytest.mark.parametrize(("name", "arguments"), COMMAND_LINES)
def test_commands_parse(name: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AcceptedError):
        main(arguments)
    assert not capsys.readouterr().err, name


@pytest.mark.usefixtures("run_yaml")
@pytest.mark.parametrize("arguments", [arguments for _, arguments in COMMAND_LINES if arguments[0] == "train"])
def test_training_options_fit_together(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["method"] in METHODS


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("arguments", [a for _, a in COMMAND_LINES if a[0] == "sample" or a[:2] == ("data", "check")])
def test_sampling_and_checking_work_as_shown(arguments: tuple[str, ...]) -> None:
    device = ["--device", "cpu"] if arguments[0] == "sample" and "--device" not in arguments else []
    words = [word for word in arguments if word != "--compile"]  # half a minute; tests/numeric/test_engines.py has it
    assert main([*words, *device]) == 0
    if arguments[0] == "sample":
        out = Path(arguments[arguments.index("--out") + 1])
        ending = arguments[arguments.index("--format") + 1] if "--format" in arguments else "png"
        shown = next(out.glob(f"*.{ending}")) if "--only" in arguments else out if out.suffix else out / "index.html"
        assert shown.is_file() or (shown / ".zattrs").is_file()


def options_of(run: Callable[[list[str]], int], words: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The long options that ``--help`` lists."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run([*words.split(), "--help"])
    assert end.value.code in {0, None}
    listed = re.findall(r"^ +(?:-\w, )?(--.*)$", capsys.readouterr().out, re.MULTILINE)
    return {option for line in listed for option in re.findall(r"--[\w-]+", line)}


def test_options_exist_and_none_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    names = [*COMMAND_NAMES, *(f"train --method {method}" for method in METHODS)]
    known = {name: options_of(main, name, capsys) for name in names}
    assert {"--lambda-kl", "--no-flip"} <= known["train"]
    assert known["sample"] >= {"--fit", "--help"}
    everything = set().union(*known.values(), {"--version"})
    measured = [options_of(importlib.import_module(name).main, "", capsys) for name in OUTSIDE_THE_PACKAGE]
    existing = everything.union(*measured)
    mentioned = {name: set(re.findall(r"(?<![\w-])--[a-z][\w-]*", prose(text))) for name, text in TEXTS.items()}
    mentioned["docs/guide/troubleshooting.md"] -= {"--lamda-kl"}  # the example of a misspelling
    mentioned = {name: options - OF_OTHERS for name, options in mentioned.items()}
    assert {name: options - existing for name, options in mentioned.items() if options - existing} == {}
    shown = set().union(*(mentioned[name] for name in GUIDE))
    shown |= {word for _, arguments in COMMAND_LINES for word in arguments if word.startswith("--")}
    missing = {option for option in everything - shown if not option.startswith("--no-")}
    assert missing == set(), "options that the guide does not mention"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    lines = [words for text in TEXTS.values() for words in shell_lines(text) if words[0] == "make"]
    lines += [code.split() for text in TEXTS.values() for code in re.findall(r"`(make [^`]+)`", prose(text))]
    named = {word for _, *words in lines for word in words if "=" not in word}
    assert {"demo", "test", "setup"} <= named
    assert named <= targets


def preset_cells(preset: Preset) -> list[str]:
    """The row of a preset but for its length."""

    def spelled(name: str, value: Any) -> str:
        if isinstance(value, bool):
            return flag(name) if value else flag(f"no_{name}")
        return f"{flag(name)} {value}"

    sets = " ".join(spelled(name, value) for name, value in preset.options.items() if name != "size")
    names = [f"`{preset.name}`", preset.method, preset.source, preset.data, str(preset.options["size"])]
    return [*names, f"`{sets}`"]


def test_table_of_presets_is_that_of_the_code() -> None:
    rows = [line for line in TEXTS["docs/presets.md"].splitlines() if line.startswith("| `")]
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [[*row[:5], row[6]] for row in cells] == [preset_cells(preset) for preset in PRESETS.values()]
    lengths = {row[0].strip("`"): row[5] for row in cells}
    # A has 1067 images, B 1334
    assert lengths["horse2zebra"] == "200 epochs of 1,334 images, 266,800 steps, about 37 d 1 h on two CPU cores"
    assert lengths["facades"] == "400 epochs of 400 images, 80,000 steps, about 1 d 11 h on two CPU cores"


def test_what_may_change_on_resume_is_that_of_the_code() -> None:
    paragraph = re.search(r"\*\*What may change on resume:\*\*(.*?)\n\n", GUIDE["docs/guide/resume.md"], re.DOTALL)
    assert paragraph is not None
    assert set(re.findall(r"`(--[\w-]+)`", paragraph[1])) == {flag(name) for name in MAY_CHANGE_ON_RESUME}


PYTHON = [(name, code) for name, text in TEXTS.items() for code in blocks(text, "python")]


@pytest.mark.parametrize(("name", "code"), PYTHON)
def test_python_examples_work(name: str, code: str, examples: Path) -> None:
    compiled = compile(code, f"example in {name}", "exec")
    if "tandem.train(" in code:
        return  # takes long; its names and options are tested elsewhere
    if "samples.jsonl" in code:
        assert main(["sample", "runs/shoes", "drawing.png", "--out", "samples", "--device", "cpu"]) == 0
    exec(compiled, {})


def test_there_are_examples() -> None:
    assert {"README.md", "docs/guide/evaluate.md"} <= {name for name, _ in COMMAND_LINES}
    assert {"README.md", "docs/guide/python.md", "docs/guide/metrics.md"} <= {name for name, _ in PYTHON}
    assert len(COMMAND_LINES) > 80
    assert len(PYTHON) > 10


def imported_layers(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "tandem":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tandem."):
            yield node.module.split(".")[1]


def test_order_of_the_layers_holds() -> None:
    line = re.search(r"<!-- module order -->\n`(.+)`", ARCHITECTURE)
    assert line is not None
    rank = {name: index for index, names in enumerate(line[1].split(" → ")) for name in names.split(" · ")}
    layers = {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    layers = {path: layer for path, layer in layers.items() if not layer.startswith("__")}  # those are on top of all
    assert set(layers.values()) == rank.keys()
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path, layer in layers.items()
        for other in imported_layers(path)
        if other != layer and rank[other] >= rank[layer]
    ]
    assert wrong == []


def test_code_map_is_complete() -> None:
    mapped = set(re.findall(r"`([\w/]+(?:\.py|/))`", section(ARCHITECTURE, "Code map")))
    mapped = {entry for entry in mapped if not entry.startswith(OTHER_FOLDERS)}
    assert [entry for entry in mapped if not (PACKAGE / entry).exists()] == []
    folders = tuple(entry for entry in mapped if entry.endswith("/"))
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    files = {file for file in files if not file.endswith("/__init__.py") and not file.startswith(folders)}
    assert files - mapped == set()


def test_citation_and_changelog_name_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == tandem.__version__
    assert citation["license"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    papers = {paper["url"].rpartition("/")[2]: len(paper["authors"]) for paper in citation["references"]}
    assert papers == {"1711.11586": 7, "1611.07004": 4, "1703.10593": 4, "2007.15651": 4, "1903.05628": 5}
    assert all(f"arxiv.org/abs/{paper}" in README for paper in papers)
    assert f"## [{tandem.__version__}]" in TEXTS["CHANGELOG.md"]
