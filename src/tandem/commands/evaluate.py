"""``tandem evaluate MODEL DATA`` and ``tandem evaluate --images REAL GENERATED``: metrics, with what they depend on."""

import json
import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tandem.commands.parser import make_parser, parse
from tandem.config.data import Direction
from tandem.errors import ConfigError, PeerError
from tandem.report.evaluation_page import direction_warnings, side_by_side, uncertainty
from tandem.report.progress import TaskProgress
from tandem.report.scores import EvaluationReport
from tandem.report.text import number

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from tandem.evaluation.options import EvaluationOptions
    from tandem.evaluation.situation import Situation

MAX_PALETTE_BYTES = 2**20
_RANGE = Literal["signed", "unit", "bytes", "imagenet"]

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, write the report and print the table."""
    args = parse(_parser(), arguments)
    options = _options(args)
    out = _out(args)
    from tandem.evaluation.both_ways import evaluate_ways  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.folder import write_evaluation  # noqa: PLC0415
    from tandem.training.distributed import join  # noqa: PLC0415

    cache = Path(args.cache) if args.cache else out / "cache"
    with _ended_by_sigterm(), join(args.device) as process_group:
        situations = process_group.main_first(lambda: _situations(args, options, str(process_group.device)))
        with _Bars() as bars:
            found = evaluate_ways(
                situations, options, process_group=process_group, cache=cache, on_progress=bars.callback
            )

        def write() -> None:
            page = write_evaluation(found, out)
            for line in table_lines([evaluation.report for evaluation, _ in found]):
                log.info("%s", line)
            log.info("page: %s", page)

        process_group.on_main(write)
    return 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the command with its rows written and a message; torchrun sends it when a process has failed."""

    def end(*_: object) -> None:
        raise PeerError(
            "ended by SIGTERM, as torchrun and clusters send it. What was measured is kept: the same command goes on."
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def table_lines(reports: Sequence[EvaluationReport]) -> list[str]:
    """The reports as lines for a terminal: one, or those of both directions side by side."""
    if len(reports) == 1:
        report = reports[0]
        lines = _aligned((score.name, number(score.value), uncertainty(score), score.note) for score in report.scores)
        lines += [f"left out: {one.metric} ({one.reason})" for one in report.left_out]
        return lines + [f"attention: {text}" for text in report.all_warnings]
    header = ("", *(report.way for report in reports))
    lines = _aligned([header, *((name, *cells) for name, _, cells in side_by_side(reports))])
    left_out = [(one, report.way) for report in reports for one in report.left_out]
    for one in dict.fromkeys(one for one, _ in left_out):
        ways = [way for other, way in left_out if other == one]
        where = "" if len(ways) == len(reports) else f"{ways[0]}: "
        lines.append(f"left out: {where}{one.metric} ({one.reason})")
    return lines + [f"attention: {text}" for report in reports for text in direction_warnings(report)]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns of equal width; the second one, of numbers, ends evenly."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index == 1 and len(row) == 4 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _parser() -> "ArgumentParser":
    parser = make_parser("evaluate", "Measure a model on a dataset, or a folder of images against another one.")
    parser.add_argument("model", nargs="?", help="folder of a run (runs/NAME) or of its bundle (runs/NAME/model)")
    parser.add_argument("data", nargs="?", help="dataset with split folders, or shards")
    parser.add_argument("--images", nargs=2, help="two folders of images instead: the real ones, the generated ones")
    parser.add_argument("--out", type=str, help="folder for the report; by default MODEL/evaluation, or evaluation")
    parser.add_argument("--cache", type=str, help="folder of what was measured before; by default cache in --out")
    parser.add_argument("--split", type=str, help="split of the dataset; by default test, else val, else train")
    parser.add_argument(
        "--direction",
        type=Literal["AtoB", "BtoA", "both"],
        help="the way, of models that go both ways; by default both, side by side",
    )
    parser.add_argument("--metrics", type=str, help="names separated by commas; by default all that can be computed")
    parser.add_argument("--num-samples", type=int, default=10, help="samples of each input")
    parser.add_argument("--seed", type=int, default=0, help="decides the samples: the same seed gives the same report")
    parser.add_argument("--fit", type=Literal["pad", "resize"], default="pad", help="as for tandem sample")
    parser.add_argument("--batch-size", type=int, default=16, help="images that are measured at once")
    parser.add_argument("--num-workers", type=int, help="threads that read files ahead; no number depends on it")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    networks = parser.add_argument_group("networks of the metrics")
    networks.add_argument(
        "--resizer",
        type=Literal["clean", "torch-fidelity", "pytorch-fid"],
        default="clean",
        help="how images get the size of the feature network; part of the metric",
    )
    networks.add_argument("--weights", type=str, help="folder of published weights, instead of the cache folder")
    networks.add_argument("--inception", type=str, help="file of the FID weights, or a folder that holds it")
    networks.add_argument("--features", type=str, help="feature network: MobileNet in .npz, .onnx, or TorchScript")
    networks.add_argument("--features-size", type=int, help="side of its input; any size unless given")
    networks.add_argument("--features-range", type=_RANGE, default="signed", help="the values it takes")
    networks.add_argument(
        "--lpips-network", type=Literal["alex", "vgg", "squeeze"], default="alex", help="backbone of LPIPS"
    )
    networks.add_argument(
        "--lpips-version", type=Literal["v0.0", "v0.1"], help="by default v0.1, and v0.0 for diversity, as published"
    )
    networks.add_argument("--lpips-backbone", type=str, help="its weights, a file or a folder that holds them")
    networks.add_argument("--lpips-heads", type=str, help="the heads of LPIPS, likewise")
    networks.add_argument("--segmenter", type=str, help="segmentation model: .onnx, or TorchScript")
    networks.add_argument("--segmenter-size", type=int, help="side of its input; any size unless given")
    networks.add_argument("--segmenter-range", type=_RANGE, default="signed", help="the values it takes")
    networks.add_argument("--palette", type=str, help="JSON file with the colour [r, g, b] of each class")
    networks.add_argument(
        "--palette-distance", type=float, default=0.0, help="how far a label's colour may be off; JPEG needs some 60"
    )
    networks.add_argument(
        "--trust-torchscript", action="store_true", help="run TorchScript files, which are programs, as your own"
    )
    return parser


def _options(args: "Namespace") -> "EvaluationOptions":
    _check_subject(args)
    from tandem.evaluation.options import EvaluationOptions, parse_metrics  # noqa: PLC0415  (imports torch)

    def path(name: str) -> Path | None:
        text = getattr(args, name)
        return None if text is None else Path(text)

    return EvaluationOptions(
        metrics=None if args.metrics is None else parse_metrics(args.metrics),
        num_samples=args.num_samples,
        seed=args.seed,
        fit=args.fit,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        resizer=args.resizer,
        weights=path("weights"),
        inception=path("inception"),
        features=path("features"),
        features_size=args.features_size,
        features_range=args.features_range,
        lpips_network=args.lpips_network,
        lpips_version=args.lpips_version,
        lpips_backbone=path("lpips_backbone"),
        lpips_heads=path("lpips_heads"),
        segmenter=path("segmenter"),
        segmenter_size=args.segmenter_size,
        segmenter_range=args.segmenter_range,
        palette=None if args.palette is None else _read_palette(Path(args.palette)),
        palette_distance=args.palette_distance,
        trust_torchscript=args.trust_torchscript,
    )


def _check_subject(args: "Namespace") -> None:
    if args.images is not None:
        given = {"MODEL": args.model, "DATA": args.data, "--split": args.split, "--direction": args.direction}
        if extra := [name for name, value in given.items() if value is not None]:
            raise ConfigError(f"--images compares two folders; {', '.join(extra)} has no effect with it.")
    elif args.model is None or args.data is None:
        raise ConfigError("give MODEL and DATA, or --images with two folders ('tandem evaluate --help' says more).")


def _out(args: "Namespace") -> Path:
    out = Path(args.out) if args.out else Path("evaluation") if args.images else Path(args.model) / "evaluation"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: give a folder.")
    return out


def _situations(args: "Namespace", options: "EvaluationOptions", device: str) -> "list[Situation]":
    from tandem.evaluation.situation import folder_situation, model_situation  # noqa: PLC0415  (imports torch)
    from tandem.inference.translator import load  # noqa: PLC0415

    if args.images is not None:
        return [folder_situation(Path(args.images[0]), Path(args.images[1]))]
    translator = load(args.model, device=device)
    ways: Sequence[Direction] = translator.directions
    if args.direction == "both" and len(ways) == 1:
        raise ConfigError(f"--direction both: this model translates one way only, {ways[0]}; leave the option out.")
    if args.direction in {"AtoB", "BtoA"}:
        ways = [cast(Direction, args.direction)]
    return [
        model_situation(translator, Path(args.model), Path(args.data), options, split=args.split, direction=way)
        for way in ways
    ]


def _read_palette(path: Path) -> tuple[tuple[int, int, int], ...]:
    try:
        if path.stat().st_size > MAX_PALETTE_BYTES:
            raise ConfigError(f"--palette {path} is larger than {MAX_PALETTE_BYTES} bytes.")
        values = json.loads(path.read_text(encoding="utf-8"))
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in values)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"--palette {path} is no JSON list of colours [r, g, b]: {error}.") from error
    if not colours or not all(0 <= part <= 255 for colour in colours for part in colour):
        raise ConfigError(f"--palette {path} must hold at least one colour, with numbers from 0 to 255.")
    return colours


class _Bars:
    """A progress bar for each part of the work, one after the other."""

    def __init__(self) -> None:
        self._name = ""
        self._bar: TaskProgress | None = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *error: object) -> None:
        self._close(error)

    def callback(self, what: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of a part are done."""
        if what != self._name:
            self._close((None, None, None))
            self._name = what
            self._bar = TaskProgress(
                f"evaluating {what}", total, {"metrics": "metrics", "real pairs": "pairs"}.get(what, "images")
            )
            self._bar.__enter__()
        assert self._bar is not None
        self._bar.callback(done, total)

    def _close(self, error: Sequence[object]) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.__exit__(*error)  # type: ignore[arg-type]
