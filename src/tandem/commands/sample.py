"""``tandem sample MODEL INPUTS… --out DIR``: translate images into many outputs, or a video into one file."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np

from tandem.commands.parser import make_parser, parse
from tandem.commands.runtime_options import add_runtime_options, load_translator, show_tiles
from tandem.commands.sample_video import add_video_options, find_video, refuse_video_options, sample_video
from tandem.config.data import Direction
from tandem.data.images import read_size
from tandem.errors import ConfigError
from tandem.inference.jobs import Job, find_jobs, has_two_domains
from tandem.inference.sample_folder import sample_to_folder
from tandem.inference.sampling import SamplingMode, SamplingOptions
from tandem.inference.translator import Translator
from tandem.report.progress import TaskProgress

MAX_Z_BYTES = 16 * 2**20

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and sample."""
    parser = make_parser("sample", "Translate images into many outputs; writes pictures, grids and a page.")
    parser.add_argument("model", help="folder of a run (runs/NAME) or of its bundle (runs/NAME/model)")
    parser.add_argument("inputs", nargs="+", help="image files, folders of images, dataset folders, or one video")
    parser.add_argument("--out", required=True, help="folder for everything that is written; of a video, the file")
    parser.add_argument("--mode", type=SamplingMode, default="random", help="where the latents come from")
    parser.add_argument(
        "--num-samples", type=int, help="samples of each input, frames of an interpolation; by default 10"
    )
    parser.add_argument(
        "--direction",
        type=Literal["AtoB", "BtoA", "both"],
        help="the way, for models that go both ways; 'both' takes a dataset, or a folder of A and a folder of B",
    )
    parser.add_argument("--cycle", action="store_true", help="add the way back: input, translation, cycle")
    parser.add_argument("--seed", type=int, default=0, help="decides the latents: the same seed gives the same pixels")
    parser.add_argument("--reference", nargs="+", default=[], help="images whose style is taken, for --mode reference")
    parser.add_argument("--z", help="JSON file with latents (a list of lists), e.g. from samples.jsonl")
    parser.add_argument("--pairs", action="store_true", help="input files are side-by-side pairs A | B")
    parser.add_argument("--split", help="split of a dataset folder; by default test, else val, else train")
    parser.add_argument(
        "--fit",
        type=SamplingOptions.__annotations__["fit"],
        default="pad",
        help="pad: keep the resolution, pad and cut off again; resize: translate at the training size, resize back",
    )
    parser.add_argument(
        "--format",
        type=SamplingOptions.__annotations__["image_format"],
        default="png",
        help="format of single pictures",
    )
    add_runtime_options(parser)
    add_video_options(parser)
    args = parse(parser, arguments)
    if (video := find_video(args.inputs)) is not None:
        return sample_video(parser, args, video, None if args.z is None else _read_latents(Path(args.z)))
    refuse_video_options(args)
    options = SamplingOptions(
        mode=args.mode,
        num_samples=args.num_samples,
        seed=args.seed,
        fit=args.fit,
        references=[Path(path) for path in args.reference],
        z=None if args.z is None else _read_latents(Path(args.z)),
        image_format=args.format,
        cycle=args.cycle,
    )
    inputs = [Path(path) for path in args.inputs]
    translator = load_translator(args)
    directions = _directions(args.direction, translator, inputs)
    jobs = find_jobs(inputs, pairs=args.pairs, split=args.split, directions=directions)
    _warn_of_pairs(jobs)
    with TaskProgress("sampling", len(jobs), "inputs") as progress:
        show_tiles(translator, progress)
        page = sample_to_folder(translator, jobs, Path(args.out), options, on_progress=progress.callback)
    log.info("page: %s", page)
    return 0


def _directions(named: str | None, translator: Translator, inputs: Sequence[Path]) -> Sequence[Direction]:
    """The ways to go: as named; by default both for a dataset of two domains where the model can, else its first."""
    if named == "both" or (named is None and all(has_two_domains(path) for path in inputs)):
        if named == "both" and len(translator.directions) == 1:
            raise ConfigError(f"--direction both: this model translates {translator.directions[0]} only.")
        return translator.directions
    if named is not None:
        translator.abilities.generator(cast(Direction, named))
        return (cast(Direction, named),)
    return (translator.directions[0],)


def _warn_of_pairs(jobs: Sequence[Job]) -> None:
    """Side-by-side pairs that are given as plain inputs would be translated as one wide image."""
    wide = []
    for job in jobs[:20]:
        if isinstance(job.source, Path):
            width, height = read_size(job.source)
            wide += [job.source.name] if width == 2 * height else []
    if len(wide) == min(len(jobs), 20):
        log.warning("%s: twice as wide as high. If these are side-by-side pairs, add --pairs.", ", ".join(wide[:3]))


def _read_latents(path: Path) -> np.ndarray:
    try:
        if path.stat().st_size > MAX_Z_BYTES:
            raise ConfigError(f"--z {path} is larger than {MAX_Z_BYTES} bytes.")
        latents = np.asarray(json.loads(path.read_text(encoding="utf-8")), dtype=np.float32)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"--z {path} is no JSON list of latents: {error}.") from error
    if latents.ndim not in {1, 2} or not latents.size:
        raise ConfigError(
            f"--z {path} must hold one latent or a list of latents, not an array of shape {latents.shape}."
        )
    return np.atleast_2d(latents)
