"""What every trial starts from: a dataset, a run, and commands with what they leave behind undisturbed."""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tandem.checkpoint.store import CheckpointStore
from tandem.data.synthetic import write_dataset
from tandem.files import is_leftover
from tandem.locks import LOCK_NAME
from tandem.web.runtime import find_runtime
from tests.hub_server import HubServer, Repository
from tools.faults.inputs import frames_of, save_clip, save_key, save_masked, save_official, save_scans, zip_facades
from tools.faults.process import Ended, Running, run, start

TINY = (
    *("--method", "bicyclegan", "--size", "32", "--generator-filters", "4", "--encoder-filters", "4"),
    *("--discriminator-filters", "4", "--latent-dim", "4", "--num-previews", "2", "--num-preview-samples", "2"),
    *("--log-every", "3", "--snapshot-every", "4", "--device", "cpu"),
)
STEPS = 10
_UNLIKE = {"speed", "seconds", "config", "options", "created", "date", "time", "elapsed", "eta"}
"""What differs between two equal runs: how long something took, and what was typed."""
_IMPORTED = ("tandem.", "torch.", "PIL.", "numpy.", "safetensors.", "onnx", "zarr.", "model_signing.", "cryptography.")
"""What is imported once for all commands, as far as one has needed it."""
_NOT_COMPARED = {".html", ".yaml", ".md", ".sig"}
"""Pages say times; a signature has a random part."""


@dataclass(frozen=True)
class Command:
    """A command that trials disturb.

    Attributes:
        name: What it is called in the log of the campaign.
        words: Its words, for a folder in which it writes.
        prepare: Puts there what it changes in place.
        elsewhere: What it leaves behind in other places, by names.
    """

    name: str
    words: Callable[[Path], list[str | Path]]
    prepare: Callable[[Path], object] = lambda _: None
    elsewhere: Callable[[], Mapping[str, str]] = dict


class Ground:
    """The files that trials start from, made once in a folder, and the place where they happen.

    Args:
        folder: Stays between campaigns.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data, self.run, self.archive = self.folder / "data", self.folder / "run", self.folder / "facades.zip"
        self.weights = [self.folder / f"latest_net_{name}.pth" for name in "GE"]
        self.measured = [self.folder / "measured-0", self.folder / "measured-1"]
        self.apart, self.masked = self.folder / "apart", self.folder / "masked"
        self.masked_run, self.shared = self.folder / "masked-run", self.folder / "shared"
        self.scans, self.scans_run = self.folder / "scans", self.folder / "scans-run"
        self.key, self.clip = self.folder / "key.pem", self.folder / "clip.mp4"
        self._hub: HubServer | None = None
        self.place = self.folder / "trial"
        self.out = self.place / "out"
        self.log = self.folder / "log.txt"
        self._expected: dict[str, dict[str, str]] = {}
        self._seconds: dict[str, float] = {}
        self._make()

    def commands(self) -> dict[str, Command]:
        """All commands that write files, by name."""
        quick = ("--device", "cpu", "--num-samples", "2")
        found = [
            Command("train", self.training),
            Command("train-workers", lambda out: self.training(out, "--num-workers", "1")),
            Command("sample", lambda out: ["sample", self.run, self.data, "--out", out, *quick]),
            Command("evaluate", self.evaluating),
            Command("export", lambda out: ["export", self.run, "--out", out]),
            Command("export-hub", lambda out: self.exporting("hub", out)),
            Command("export-official", lambda out: self.exporting("official", out)),
            Command("export-onnx", lambda out: self.exporting("onnx", out / "model.onnx")),
            Command("export-int8", lambda out: [*self.exporting("onnx", out / "model.onnx"), "--weights", "int8"]),
            Command("export-bioimageio", lambda out: self.exporting("bioimageio", out)),
            Command("export-torch", lambda out: self.exporting("torch-export", out / "model.pt2")),
            Command("export-web", lambda out: [*self.exporting("web", out), "--runtime", find_runtime()]),
            Command("sign", lambda out: ["sign", out / "model", "--key", self.key], self._copy_shared),
            Command("pull", lambda out: ["pull", "me/shoes", "--out", out], self._serve_hub),
            Command("push", lambda out: ["push", out / "model", "me/new"], self._empty_hub, self._pushed),
            Command(
                "sample-zarr",
                lambda out: ["sample", self.run, self.data, "--out", out, "--format", "ome.zarr", *quick],
            ),
            Command(
                "sample-dicom",
                lambda out: ["sample", self.scans_run, self.scans / "trainA", "--out", out, "--format", "dcm", *quick],
                self._make_scans,
            ),
            Command(
                "sample-video",
                lambda out: ["sample", self.run, self.clip, "--out", out / "x.mp4", *quick[:2]],
                self._make_clip,
            ),
            Command("sample-masked", lambda out: self.sampling_masked(out, *quick), self._make_masked),
            Command("convert", lambda out: ["convert", *self.weights, "--to", out]),
            Command("prior", lambda out: ["prior", self.run, self.data, "--out", out, *quick[:2]]),
            Command("calibrate", lambda out: ["calibrate", out, self.data, "--level", "0.5", *quick], self._copy_model),
            Command("compare", lambda out: ["compare", *self.measured, "--out", out]),
            Command("timeline", lambda out: ["timeline", self.run, "--out", out / "timeline.gif"]),
            Command("data-demo", lambda out: ["data", "demo", out, "--size", "16", *_counts(3, 1, 1)]),
            Command("data-shallows", lambda out: ["data", "shallows", out, "--height", "16", *_counts(3, 1, 1)]),
            Command("data-prepare", lambda out: ["data", "prepare", self.data, "--rule", "edges", "--to", out]),
            Command("data-separate", lambda out: ["data", "separate", self.data, "--to", out]),
            Command("data-combine", lambda out: ["data", "combine", self.apart, "--to", out], self._make_apart),
            Command(
                "data-split", lambda out: ["data", "split", self.data / "train", "--to", out, "--val-split", "0.3"]
            ),
            Command("data-preview", lambda out: ["data", "preview", self.data, "--size", "32", "--out", out]),
            Command("doctor", lambda out: ["doctor", self.data, "--size", "32", "--out", out]),
            Command("data-pack", lambda out: ["data", "pack", self.data, out, "--shard-size", "1"]),
            Command(
                "data-download",
                lambda out: ["data", "download", "facades", "--archive", self.archive, "--unchecked", "--out", out],
            ),
        ]
        return {command.name: command for command in found}

    def training(self, out: Path, *more: str) -> list[str | Path]:
        """The words of a tiny training."""
        loading = () if "--num-workers" in more else ("--num-workers", "0")
        steps = () if "--steps" in more else ("--steps", str(STEPS))
        return ["train", self.data, "--out", out, *TINY, *steps, *loading, *more]

    def exporting(self, to: str, out: Path) -> list[str | Path]:
        """The words of an export of another form than a bundle."""
        return ["export", self.run, "--to", to, "--out", out]

    def sampling_masked(self, out: Path, *more: str) -> list[str | Path]:
        """The words of a sampling whose inputs have masks."""
        inputs, masks = self.masked / "testA", self.masked / "testM"
        return ["sample", self.masked_run, inputs, "--mask", masks, "--out", out, "--spread", *more]

    def evaluating(self, out: Path, *more: str) -> list[str | Path]:
        """The words of a tiny evaluation."""
        quick = ("--metrics", "ssim,contrast", "--device", "cpu", "--num-samples", "2")
        return ["evaluate", self.run, self.data, "--out", out, *quick, *more]

    def fresh(self, command: Command | None = None) -> Path:
        """Empty the place of trials, prepare a command there, and say where it writes."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        if command is not None:
            command.prepare(self.out)
        return self.out

    def call(self, words: list[str | Path], **how: Any) -> Ended:
        """Run a command to its end."""
        return run(words, self.log, **how)

    def start(self, words: list[str | Path], **how: Any) -> Running:
        """Start a command, which the trial then waits for."""
        return start(words, self.log, **how)

    def expected(self, command: Command) -> dict[str, str]:
        """What a command leaves behind when nothing disturbs it; run once for each campaign."""
        if command.name not in self._expected:
            self._succeed(command.words(self.fresh(command)))
            self._expected[command.name] = self._left_by(command)
            self._seconds[command.name] = self.call(command.words(self.fresh(command))).seconds
        return self._expected[command.name]

    def seconds(self, command: Command) -> float:
        """What a command takes here when nothing disturbs it."""
        return self._seconds[command.name]

    def difference(self, command: Command) -> str:
        """How what is there now differs from what an undisturbed command leaves; empty where it does not."""
        wanted, found = self._expected[command.name], self._left_by(command)
        wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        return f"{len(wrong)} files differ from an undisturbed command: {', '.join(wrong[:4])}" if wrong else ""

    def ends_like_undisturbed(self, command: Command) -> str:
        """Run a command again; say what is wrong with its end, nothing where it ends like an undisturbed one."""
        ended = self.call(command.words(self.out))
        if ended.complaint or ended.status:
            return f"the same command again: status {ended.status}, {ended.complaint or ended.last_line}"
        return self.difference(command)

    def _left_by(self, command: Command) -> dict[str, str]:
        return {**left_in(self.out), **command.elsewhere()}

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "ready").exists():
            write_dataset(self.data, size=32, num_train=7, num_val=2, num_test=2)
            save_official(self.weights)
            zip_facades(self.data, self.archive)
            self._succeed(self.training(self.run))
            for seed, folder in enumerate(self.measured):
                self._succeed(self.evaluating(folder, "--seed", str(seed)))
            (self.folder / "ready").touch()

    def _succeed(self, words: list[str | Path]) -> None:
        """Run a command that nothing disturbs, and import here what it has imported: the next ones start sooner."""
        note = self.folder / "modules.txt"
        ended = self.call(words, after=lambda: note.write_text("\n".join(sys.modules)))
        if ended.status:
            raise RuntimeError(f"'tandem {words[0]}' fails undisturbed: {ended.text}")
        for name in note.read_text().split():
            if name.startswith(_IMPORTED):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)

    def _copy_model(self, out: Path) -> None:
        shutil.copytree(self.run / "model", out)

    def _copy_shared(self, out: Path) -> None:
        self._make_shared()
        if not self.key.exists():
            save_key(self.key)
        shutil.copytree(self.shared, out / "model")

    def _make_shared(self) -> None:
        if not self.shared.exists():
            self._succeed(self.exporting("hub", self.shared))

    def _make_apart(self, _: Path) -> None:
        if not self.apart.exists():
            self._succeed(["data", "separate", self.data, "--to", self.apart])

    def _make_masked(self, _: Path) -> None:
        if not self.masked_run.exists():
            save_masked(self.masked)
            self._succeed(["train", self.masked, "--out", self.masked_run, *TINY, "--steps", "2", "--mask", "files"])

    def _make_scans(self, _: Path) -> None:
        if not self.scans_run.exists():
            save_scans(self.scans)
            values = ("--range-a=-1000,3000", "--range-b=-1000,3000", "--input-channels", "1", "--output-channels", "1")
            self._succeed(["train", self.scans, "--out", self.scans_run, *TINY, "--steps", "2", *values])

    def _make_clip(self, _: Path) -> None:
        if not self.clip.exists():
            save_clip(self.clip)

    def _serve_hub(self, out: Path) -> HubServer:
        """Let commands find the shared model on a Hub that lives as long as the campaign, with an empty cache."""
        self._make_shared()
        if self._hub is None:
            self._hub = HubServer()
            self._hub.start()
            self._hub.repositories["me/shoes"] = Repository()
            self._hub.repositories["me/shoes"].commit(
                {path.name: path.read_bytes() for path in self.shared.iterdir() if path.is_file()}
            )
        os.environ |= {"HF_ENDPOINT": self._hub.url, "HF_HOME": str(out.with_name("hub-cache"))}
        os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "no_proxy": "127.0.0.1"}
        os.environ["HF_TOKEN"] = self._hub.token
        return self._hub

    def _empty_hub(self, out: Path) -> None:
        self._serve_hub(out).repositories.pop("me/new", None)
        shutil.copytree(self.shared, out / "model")

    def _pushed(self) -> dict[str, str]:
        """What the Hub's branch of the model that commands send holds."""
        assert self._hub is not None
        repository = self._hub.repositories.get("me/new", Repository())
        files = repository.commits.get(repository.refs.get("main", ""), {})
        return {f"me/new/{name}": hashlib.sha256(content).hexdigest() for name, content in files.items()}


def left_in(folder: Path) -> dict[str, str]:
    """A hash of every file in a folder by its path, without what differs between equal runs.

    Of a video the sizes and times of its frames count, since x264 makes different files of the same small frames now
    and then. Of the checkpoints the newest counts, by its tensors and metadata; of pages, that they are there; what is
    in a cache can be computed again.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.name != LOCK_NAME and not name.startswith("cache/"):
            found[name] = "there" if path.suffix in _NOT_COMPARED else _hash_of(path)
    if (folder / "checkpoints").is_dir():
        found = {name: value for name, value in found.items() if not name.startswith("checkpoints/")}
        found["checkpoints"] = state_hash(folder)
    return {name: value for name, value in found.items() if not name.endswith(".damaged")}


def state_hash(run_folder: Path) -> str:
    """A hash of all tensors and all metadata of a run's newest checkpoint, without what was typed."""
    store = CheckpointStore(run_folder / "checkpoints")
    step = store.steps()[-1]
    digest = hashlib.sha256(json.dumps(_plain(store.metadata(step)), sort_keys=True).encode())
    for name, tensor in sorted(store.tensors(step).items()):
        digest.update(name.encode() + str(tensor.dtype).encode() + tensor.contiguous().view(-1).numpy().tobytes())
    return f"step {step}: {digest.hexdigest()}"


def leftovers(folder: Path) -> list[str]:
    """Temporary files that somebody did not live to rename."""
    return [path.name for path in folder.rglob("*") if is_leftover(path)]


def _hash_of(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".mp4":
        content = json.dumps(frames_of(path)).encode()
    if path.suffix == ".pth":  # an archive that bears the name of a temporary file
        state = torch.load(path, weights_only=True)
        content = b"".join(name.encode() + value.numpy().tobytes() for name, value in state.items())
    if path.suffix == ".json":
        content = json.dumps(_plain(json.loads(content)), sort_keys=True).encode()
    elif path.suffix == ".jsonl":
        content = json.dumps([_plain(json.loads(line)) for line in content.splitlines()], sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if key not in _UNLIKE}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _counts(train: int, val: int, test: int) -> tuple[str, ...]:
    return ("--num-train", str(train), "--num-val", str(val), "--num-test", str(test))
