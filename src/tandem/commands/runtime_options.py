"""Options of the commands that run a model: precision, compilation, batches, tiles, memory."""

from jsonargparse import ArgumentParser, Namespace

from tandem.inference.runtime import Auto, EngineName, InferencePrecision, Runtime
from tandem.inference.translator import Translator, load
from tandem.report.progress import TaskProgress


def add_runtime_options(parser: ArgumentParser) -> None:
    """Add them to the options of a command."""
    defaults = Runtime()
    group = parser.add_argument_group("how the model is run")
    group.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument("--engine", type=EngineName, default=defaults.engine, help="PyTorch, or ONNX Runtime")
    group.add_argument(
        "--precision",
        type=InferencePrecision,
        default=defaults.precision,
        help="bf16: faster on most machines, less exact",
    )
    group.add_argument(
        "--compile", action="store_true", help="compile the generators first: pays for many images of one size"
    )
    group.add_argument(
        "--max-batch",
        type=int | Auto,
        default=defaults.max_batch,
        help="samples of one input that are computed at once; with 1 they are the same bit for bit, however many",
    )
    group.add_argument(
        "--tile",
        type=int | Auto,
        default=defaults.tile,
        help="side in pixels of the tiles of large images, 0 for none; auto: where --memory-gb does not hold the image",
    )
    group.add_argument(
        "--memory-gb", type=float, default=defaults.memory_gb, help="GiB that the layers of a generator may take"
    )


def load_translator(args: Namespace) -> Translator:
    """Load the model that a command names, to be run as its options say.

    Raises:
        TandemError: There is no such model, or an option does not fit.
    """
    return load(
        args.model,
        device=args.device,
        precision=args.precision,
        compile=args.compile,
        max_batch=args.max_batch,
        tile=args.tile,
        memory_gb=args.memory_gb,
        engine=args.engine,
    )


def show_tiles(translator: Translator, progress: TaskProgress) -> None:
    """Say behind the numbers of `progress` which tile of a large image is at work."""
    translator.report_tiles(lambda done, total: progress.note(f"tile {done} of {total}" if done < total else ""))
