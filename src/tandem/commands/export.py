"""``tandem export RUN``: a model out of a kept checkpoint of a run, by default the best one, else the last.

With ``--to`` it becomes ONNX files, programs of torch.export, the page to draw on, files of the official code, or a
folder to be shared.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from tandem.checkpoint.manifest import MANIFEST_NAME, bundle_folder
from tandem.checkpoint.named import named_folder
from tandem.checkpoint.storage import Storage
from tandem.commands.parser import Command
from tandem.commands.share import CardOptions, share
from tandem.config.options import REQUIRED, Options, changed, option, refuse
from tandem.errors import CheckpointError, ConfigError, Problem
from tandem.evaluation.options import Palette, read_palette
from tandem.files import belongs_to_others, owned, scratch_folder
from tandem.names import is_text
from tandem.report.text import count, number
from tandem.targets import file_problems, folder_problems

if TYPE_CHECKING:
    from torch import nn

    from tandem.checkpoint.manifest import Manifest
    from tandem.checkpoint.store import CheckpointStore, Measured
    from tandem.inference.exported import Exported
    from tandem.training.run_folder import RunFolder

ExportFormat = Literal["bundle", "onnx", "torch-export", "web", "official", "hub", "bioimageio", "monai"]

_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"onnx": ("the ONNX file", ".onnx"), "torch-export": ("the program", ".pt2")}
)
"""What formats of a file for each network write, and what its name ends in."""
_LICENSED = {"bioimageio", "monai"}
"""Formats beside that of the Hub that say a licence."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Which checkpoint is exported, as what, and where to."""

    run: Path = option(REQUIRED, "folder of a run, e.g. runs/shoes, or with --to of a model", positional=True)
    to: ExportFormat = option(
        "bundle",
        "what is written: Tandem's model; onnx: ONNX files, each proven against PyTorch; torch-export: programs that "
        "PyTorch runs without Tandem, proven likewise; web: the page to draw on, with the model in it; official: what "
        "the method's official code loads; hub: a folder to be shared; bioimageio: one for the BioImage Model Zoo; "
        "monai: a MONAI bundle",
    )
    weights: Storage | None = option(
        None,
        "how weights are stored; computed is in float32. fp16: half the size, the default of --to web; int8: a "
        "quarter, less exact; fp32, the default of all else",
    )
    checkpoint: str = option(
        "auto",
        "which checkpoint: auto is the best, or the last where none is the best; N is the number of a step",
        metavar="{auto,best,last,N}",
    )
    out: Path | None = option(
        None,
        "folder for the model, by default model-best, -last or -N in the run; with --to onnx or torch-export a file, "
        "by default model-best.onnx and so on; with --single-file a file too",
    )
    single_file: bool = option(
        False, "with --to web: one .html that opens from the disk, without server and network", one_way=True
    )
    runtime: Path | None = option(
        None, "with --to web: folder or archive (.tgz) of the npm package onnxruntime-web, where npm cannot bring it"
    )
    palette: Palette | None = option(
        None, "with --to web: JSON file with the colours [r, g, b] of labels that the page offers", read=read_palette
    )

    @property
    def storage(self) -> Storage:
        """How weights are stored: as given, or by default."""
        return self.weights or ("fp16" if self.to == "web" else "fp32")

    def problems(self) -> Iterator[Problem]:
        """Say why the model cannot be written there."""
        readers = {
            "official": "the official code reads",
            "torch-export": "programs of torch.export hold",
            "monai": "MONAI bundles hold",
        }
        if self.storage != "fp32" and self.to in readers:
            yield Problem(f"--weights {self.weights}: {readers[self.to]} weights in full", "--weights", self.weights)
        if self.to != "web":
            for flag, given in (("--single-file", self.single_file), ("--runtime", self.runtime)):
                if given:
                    yield Problem(f"{flag} goes with --to web only", flag, given)
            if self.palette is not None:
                yield Problem("--palette goes with --to web only", "--palette")
        if self.out is not None:
            yield from self._problems_of_place(self.out)
        elif self.to in {"official", "hub", "web", "bioimageio", "monai"}:
            yield Problem(f"--to {self.to} needs --out: the folder for what is written", "--out")
        elif named_folder(self.run) is not None:
            yield Problem(f"the model {self.run} has a name and no place of yours: give --out", "--out")

    def _problems_of_place(self, out: Path) -> Iterator[Problem]:
        if self.to != "bundle" and not is_text(str(out.resolve())):
            yield Problem(
                f"--out {out} holds bytes that are no text (UTF-8), and other programs open no such path: give another "
                "one",
                "--out",
                out,
            )
            return
        if self.to == "web" and not self.single_file:
            yield from folder_problems(out, "the page", instead="give a folder, or add --single-file")
            return
        if self.to not in {*_FILES, "web"}:
            yield from folder_problems(out, "a model", instead=_instead(out))
            return
        what, suffix = ("the page", ".html") if self.single_file else _FILES[self.to]
        found = list(file_problems(out, what, example=f"model{suffix}"))
        if not found and out.suffix.lower() != suffix:
            given = "--single-file" if self.single_file else f"--to {self.to}"
            found = [Problem(f"--out {out} must end in '{suffix}' with {given}, e.g. {out}{suffix}", "--out", out)]
        yield from found


def _instead(out: Path) -> str:
    parts = (
        f"give a folder, e.g. {out.with_suffix('')}; {MANIFEST_NAME} and the weights (.safetensors) are written into it"
    )
    if out.suffix.lower() != ".onnx":
        return parts
    return f"{parts}. For an ONNX file add --to onnx"


COMMAND = Command(
    "export",
    "Write a model from a checkpoint of a run, as training would have at that step, or in another form.",
    {"": ExportOptions, "the card, with --to hub (the licence with bioimageio and monai too)": CardOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and write the model."""
    options, card = COMMAND.parse(arguments)
    if options.to != "hub":
        given = [one.flag for one in changed(card) if one.flag != "--licence" or options.to not in _LICENSED]
        refuse(Problem(f"{flag} has no effect without --to hub", flag) for flag in given)
    if options.to != "bundle":
        return _WRITERS[options.to](options, card)
    _to_bundle(options, options.out)
    return 0


def _to_bundle(options: ExportOptions, out: Path | None) -> str:
    """Write the bundle of a checkpoint.

    Args:
        options: Which one.
        out: Where; None: in the run.

    Returns:
        The checkpoint: ``best``, ``last`` or the number of its step.
    """
    from tandem.checkpoint.store import CheckpointStore  # noqa: PLC0415  (imports torch)
    from tandem.training.run_folder import RunFolder  # noqa: PLC0415

    run = RunFolder(options.run)
    store = CheckpointStore(run.checkpoints)
    if not store.steps():
        raise CheckpointError(
            f"{run.root} holds no checkpoints: give the folder of a run (runs/NAME), in which checkpoints/ is."
        )
    wanted = _wanted(store) if options.checkpoint == "auto" else options.checkpoint
    _step(store, wanted)
    out = out or run.root / f"model-{wanted}"
    _require_free(out, run)
    with owned(out, "writing a model to"):
        step = _export(run, store, wanted, out, storage=options.storage if options.to == "bundle" else "fp32")
    place = "" if options.to in {*_FILES, "web", *_LICENSED} else f". The model is in {out}"
    log.info("%s: taken is step %s%s", run.root, _told(store, step), place)
    if left := [other for other in store.steps() if other != step]:
        log.info("left: %s", "; ".join(f"step {_told(store, other)}" for other in left))
    _doubt(store, step)
    return wanted


def _export(run: "RunFolder", store: "CheckpointStore", wanted: str, out: Path, *, storage: Storage) -> int:
    """Write the model and return its step; a checkpoint that training removes meanwhile gives way to its successor."""
    from tandem.training.export import export_checkpoint  # noqa: PLC0415  (imports torch)

    while True:
        step = _step(store, wanted)
        try:
            export_checkpoint(run, step, out, storage=storage)
        except CheckpointError:
            if step in store.steps():
                raise
        else:
            return step


@contextmanager
def _bundle(options: ExportOptions) -> Iterator[tuple[Path, Path]]:
    """The bundle of a checkpoint, while it is needed, or the one that is given; and what it is called in its folder."""
    if (options.run / "checkpoints").is_dir():
        with scratch_folder() as folder:
            wanted = _to_bundle(options, folder / "model")
            yield folder / "model", options.run / f"model-{wanted}"
        return
    if options.checkpoint != "auto":
        raise ConfigError(f"--checkpoint {options.checkpoint}: {options.run} is no run with checkpoints.")
    model = bundle_folder(options.run)
    yield model, model


def _write_onnx(options: ExportOptions, card: CardOptions) -> int:
    """Write the ONNX files of a checkpoint of a run, or of a bundle."""
    del card
    from tandem.inference.onnx.export import export_onnx  # noqa: PLC0415  (imports torch)

    with _bundle(options) as (model, named):
        _tell(export_onnx(model, _file(options, named), storage=options.storage))
    return 0


def _write_programs(options: ExportOptions, card: CardOptions) -> int:
    """Write the programs of torch.export of a checkpoint of a run, or of a bundle."""
    del card
    from tandem.inference.program import export_programs  # noqa: PLC0415  (imports torch)

    with _bundle(options) as (model, named):
        _tell(export_programs(model, _file(options, named)))
    return 0


def _file(options: ExportOptions, named: Path) -> Path:
    return options.out or named.with_name(f"{named.name}{_FILES[options.to][1]}")


def _write_bioimageio(options: ExportOptions, card: CardOptions) -> int:
    """Write the folder that the BioImage Model Zoo understands."""
    from tandem.inference.onnx.bioimageio import export_bioimageio  # noqa: PLC0415  (imports torch)

    assert options.out is not None, "the options say so"
    with _bundle(options) as (model, _), owned(options.out, "writing a model to"):
        name = options.out.resolve().name
        _tell(export_bioimageio(model, options.out, name=name, licence=card.licence, storage=options.storage))
    log.info("say in README.md and rdf.yaml what it is for and who made it, then: bioimageio test %s", options.out)
    return 0


def _write_monai(options: ExportOptions, card: CardOptions) -> int:
    """Write the folder that MONAI loads."""
    from tandem.inference.monai.bundle import export_monai  # noqa: PLC0415  (imports torch)

    assert options.out is not None, "the options say so"
    with _bundle(options) as (model, _), owned(options.out, "writing a model to"):
        _tell(export_monai(model, options.out, name=options.out.resolve().name, licence=card.licence))
    return 0


def _tell(written: "Sequence[Exported]") -> None:
    for one in written:
        proof = one.proof
        log.info(
            "%s: %.1f MB. Against PyTorch, %d cases of values in [-1, 1]: largest deviation %.1e (%s), mean %.1e",
            one.path,
            one.path.stat().st_size / 1e6,
            proof.cases,
            proof.largest,
            proof.largest_case,
            proof.mean,
        )


def _write_web(options: ExportOptions, card: CardOptions) -> int:
    """Write the page to draw on with a model in it."""
    del card
    from tandem.serving.sources import name_models  # noqa: PLC0415
    from tandem.web.export import export_web  # noqa: PLC0415  (imports torch)
    from tandem.web.runtime import find_runtime  # noqa: PLC0415

    assert options.out is not None, "the options say so"
    runtime = find_runtime(options.runtime)
    (name,) = name_models([options.run])
    with _bundle(options) as (model, _):
        export_web(
            model,
            options.out,
            name=name,
            runtime=runtime,
            storage=options.storage,
            is_single_file=options.single_file,
            palette=options.palette,
        )
    return 0


def _write_official(options: ExportOptions, card: CardOptions) -> int:
    del card
    from tandem.checkpoint.official_write import write_official  # noqa: PLC0415  (imports torch)

    assert options.out is not None, "the options say so"
    manifest, networks = _model(options)
    with owned(options.out, "writing weights to"):
        for path in write_official(options.out, manifest, networks):
            log.info("written: %s", path)
    return 0


def _write_hub(options: ExportOptions, card: CardOptions) -> int:
    from tandem.checkpoint.store import CheckpointStore  # noqa: PLC0415  (imports torch)
    from tandem.training.export import export_checkpoint  # noqa: PLC0415
    from tandem.training.run_folder import RunFolder  # noqa: PLC0415

    assert options.out is not None, "the options say so"
    run = RunFolder(options.run)
    step = _chosen(CheckpointStore(run.checkpoints), options)
    if step is None:
        if options.storage != "fp32":
            raise ConfigError(
                f"--weights {options.weights}: {options.run} is a model already, whose weights are shared as they are. "
                "Give the run that it comes from.",
                option="--weights",
            )
        share(options.run, options.out, card, run=options.run)
        return 0
    with scratch_folder() as folder:
        export_checkpoint(run, step, folder, storage=options.storage)
        share(folder, options.out, card, run=run.root)
    return 0


_WRITERS: Mapping[ExportFormat, Callable[[ExportOptions, CardOptions], int]] = MappingProxyType(
    {
        "onnx": _write_onnx,
        "torch-export": _write_programs,
        "web": _write_web,
        "official": _write_official,
        "hub": _write_hub,
        "bioimageio": _write_bioimageio,
        "monai": _write_monai,
    }
)
"""What writes each format but that of Tandem itself."""


def _model(options: ExportOptions) -> "tuple[Manifest, dict[str, nn.Module]]":
    """The model of a run's checkpoint, or what lies in a bundle's folder."""
    from tandem.checkpoint.bundle import load_bundle  # noqa: PLC0415  (imports torch)
    from tandem.checkpoint.store import CheckpointStore  # noqa: PLC0415
    from tandem.training.export import checkpoint_model  # noqa: PLC0415
    from tandem.training.run_folder import RunFolder  # noqa: PLC0415

    run = RunFolder(options.run)
    step = _chosen(CheckpointStore(run.checkpoints), options)
    if step is None:
        return load_bundle(options.run)
    manifest, networks, _ = checkpoint_model(run, step)
    return manifest, networks


def _chosen(store: "CheckpointStore", options: ExportOptions) -> int | None:
    """The step whose checkpoint is wanted; None where the folder is a model."""
    if not store.steps():
        if options.checkpoint != "auto":
            raise CheckpointError(f"--checkpoint {options.checkpoint}: {options.run} holds no checkpoints.")
        return None
    step = _step(store, _wanted(store) if options.checkpoint == "auto" else options.checkpoint)
    log.info("%s: taken is step %s", options.run, _told(store, step))
    return step


def _wanted(store: "CheckpointStore") -> str:
    """The best checkpoint, or the last one where no number says which is best, or none is good enough."""
    if store.best_step() is not None:
        return "best"
    last = store.steps()[-1]
    log.warning("no checkpoint in %s is the best one, so the last is taken: step %s", store.folder, _told(store, last))
    return "last"


def _told(store: "CheckpointStore", step: int) -> str:
    """A step with what is known of it: ``3,000 (the best, ssim-best 0.42)``."""
    measured = _measured(store, step)
    words = [
        *(["the best"] if step == store.best_step() else []),
        *(["the last"] if step == store.steps()[-1] else []),
    ]
    if measured is None:
        words.append("not measured")
    else:
        words.append(f"{measured.number} {'not finite' if measured.value is None else number(measured.value)}")
        words += [f"did not compete: {measured.shortfall}"] if measured.shortfall else []
    return f"{count(step)} ({', '.join(words)})"


def _measured(store: "CheckpointStore", step: int) -> "Measured | None":
    """What was measured of a checkpoint; None where that is not known, or it is gone by now."""
    with suppress(CheckpointError):
        return store.measured(step)
    return None


def _doubt(store: "CheckpointStore", step: int) -> None:
    """Warn where the best that is taken is the first one which competed, and others came after it."""
    from tandem.training.validation import doubt_of_first  # noqa: PLC0415  (imports torch)

    measured = _measured(store, step)
    later = [told for other in store.steps() if other > step and (told := _measured(store, other))]
    if step == store.best_step() and measured is not None and measured.turn == 1 and any(one.turn for one in later):
        log.warning("step %s: %s", count(step), doubt_of_first(measured.number))


def _step(store: "CheckpointStore", wanted: str) -> int:
    steps = store.steps()
    kept = f"kept are the steps {', '.join(map(str, steps))}"
    if wanted == "last":
        return steps[-1]
    if wanted == "best":
        best = store.best_step()
        if best is None:
            raise CheckpointError(
                f"no checkpoint in {store.folder} was measured by a number that says which is best, or had outputs "
                f"with enough contrast: {kept}. Choose one with --checkpoint STEP; a run with --validate-every "
                "measures more."
            )
        return best
    if not wanted.isdigit():
        raise ConfigError(f"--checkpoint must be auto, best, last or a step, not '{wanted}'; {kept}.")
    if int(wanted) not in steps:
        raise CheckpointError(f"there is no checkpoint of step {wanted} in {store.folder}: {kept}.")
    return int(wanted)


def _require_free(out: Path, run: "RunFolder") -> None:
    if out.resolve() in {run.model.resolve(), run.root.resolve()}:
        raise ConfigError(f"--out {out} belongs to training: give another folder, e.g. {run.root / 'model-best'}.")
    if belongs_to_others(out, MANIFEST_NAME):
        raise ConfigError(f"--out {out} holds other files and no model: give a new folder.")
