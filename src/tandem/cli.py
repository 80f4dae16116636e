"""The command line: a dict from sub-command to function; everything heavy is imported only when it runs."""

import errno
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence

from tandem.errors import ConfigError, NoMemoryError, TandemError
from tandem.interrupts import raise_lost, remembering_interrupts
from tandem.launch import find_launch
from tandem.memory import ADVICE, OTHERWISE, describe, is_out_of_memory
from tandem.names import shown
from tandem.terminal import MessageFormatter, leave_output, prepare_streams
from tandem.version import __version__

COMMANDS = {
    "train": ("tandem.commands.train", "train a model on image pairs or on two domains, or continue a run"),
    "sample": (
        "tandem.commands.sample",
        "translate images (random, interpolated, encoded, in a given style) or a video",
    ),
    "evaluate": ("tandem.commands.evaluate", "measure a model, or a folder of images, against real images"),
    "calibrate": ("tandem.commands.calibrate", "measure on held-out pairs how sure a model is"),
    "compare": ("tandem.commands.compare", "put several models side by side: numbers, seeds, pictures"),
    "serve": ("tandem.commands.serve", "serve models over HTTP, with a page to draw on"),
    "export": ("tandem.commands.export", "make a model of a run's best checkpoint, or of another one"),
    "convert": ("tandem.commands.convert", "make a model of weights that official implementations have saved"),
    "push": ("tandem.commands.push", "send a model to the Hugging Face Hub"),
    "pull": ("tandem.commands.pull", "get a model from the Hugging Face Hub"),
    "sign": ("tandem.commands.sign", "sign a model that is shared"),
    "verify": ("tandem.commands.verify", "check a shared model against its signature"),
    "prior": ("tandem.commands.prior", "fit what a model draws its latents from to its training images"),
    "timeline": ("tandem.commands.timeline", "show a run's fixed inputs over training time, as a GIF or a strip"),
    "presets": ("tandem.commands.presets", "list the presets and what they set"),
    "data": ("tandem.commands.data", "make, check, look at, pack or download a dataset"),
    "doctor": ("tandem.commands.doctor", "look deeply at a dataset or a run and say what is wrong with it"),
    "demo": ("tandem.commands.demo", "draw, train, sample and measure the demo in one go"),
    "bench": ("tandem.commands.bench", "measure the training step, sampling, and quality against time"),
}
"""Module (with a function ``main(arguments) -> exit status``) and one line of help of each sub-command."""

CALLED_ELSEWHERE = {
    "sample": "test predict infer inference generate translate apply run",
    "evaluate": "eval validate val metrics fid lpips score measure",
    "calibrate": "calibration conformal intervals uncertainty",
    "train": "fit resume continue finetune",
    "export": "onnx save",
    "convert": "import load",
    "push": "upload publish share",
    "pull": "hub",
    "serve": "server service http api web app gradio draw page",
    "timeline": "gif history",
    "presets": "list recipes configs",
    "bench": "benchmark profile speed",
    "data check": "check inspect",
    "data download": "download fetch get",
    "data pack": "pack shard shards",
    "data prepare": "prepare make",
    "data combine": "combine join",
    "data separate": "separate",
    "data split": "split",
    "data preview": "preview show look",
    "doctor": "diagnose lint examine",
}
"""What people type for a command, by the command."""

SIGNAL_STATUS = 128
INTERRUPTED = 130
WITHOUT_A_NAME = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR),
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE),
    }
)
"""What is about the user's disk even where the system does not name the file, as while it is written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Errors that the user can repair are printed as a message, without a traceback, with status 1 (2 for the wrong use of
    an option).
    """
    prepare_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        return _run("", lambda: _print(_usage()), "tandem: ") or (0 if arguments else 2)
    if arguments[0] in {"-V", "--version"}:
        return _run("", lambda: _print(f"tandem {__version__}\n"), "tandem: ")
    name, *rest = arguments
    if name not in COMMANDS:
        return _unknown(name)
    try:
        launch = find_launch()
    except ConfigError as error:
        _complain(f"tandem {name}: {error}")
        return 2
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MessageFormatter(f"{launch.prefix}%(message)s"))
    logging.basicConfig(level=logging.INFO if launch.is_main else logging.WARNING, handlers=[handler])
    with remembering_interrupts():
        return _run(name, lambda: _call(name, rest), f"{launch.prefix}tandem {name}: ")


def _run(name: str, call: Callable[[], int], lead: str) -> int:
    """Call something and print what was written, or in its place what was wrong."""
    try:
        status = call()
        sys.stdout.flush()  # at the end of the process nobody would say that it failed
        return status
    except ConfigError as error:
        _complain(f"{lead}{error}")
        return 2
    except TandemError as error:
        helps = f" {ADVICE.get(name, OTHERWISE)}." if isinstance(error, NoMemoryError) else ""
        _complain(f"{lead}{error}{helps}")
        return 1
    except KeyboardInterrupt as error:
        _complain(f"{lead}interrupted")
        # Training says by which signal; Python itself raises this for SIGINT alone, and says nothing.
        return SIGNAL_STATUS + error.args[0] if error.args else INTERRUPTED
    except BrokenPipeError:
        leave_output()
        return 1
    except (MemoryError, OSError, RuntimeError) as error:
        text = _of_the_system(error, name)
        if text is None:
            raise
        logging.getLogger(__name__).debug("the operating system refused something", exc_info=True)
        leave_output()
        _complain(f"{lead}{text}")
        return 1


def _of_the_system(error: Exception, name: str) -> str | None:
    """What the system says of memory or of a file is about the user's machine; None for a bug of ours."""
    if is_out_of_memory(error):
        return describe(error, name)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.filename is None and error.errno not in WITHOUT_A_NAME:
        return None
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{error.strerror}"


def _call(name: str, rest: list[str]) -> int:
    try:
        return importlib.import_module(COMMANDS[name][0]).main(rest)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise TandemError(
            "this needs PyTorch, which is not installed: pip install torch. Without it 'tandem sample' runs ONNX files "
            "('tandem export RUN --to onnx'), and bundles with --engine onnx."
        ) from error
    except Exception as error:
        raise_lost(error)
        raise


def _print(text: str) -> int:
    sys.stdout.write(text)
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(shown(text) + "\n")


def _usage() -> str:
    lines = [
        f"Tandem {__version__}: one input image, many plausible outputs (BicycleGAN and its relatives in PyTorch).",
        "",
        "usage: tandem COMMAND … (tandem COMMAND --help says more)",
        "",
    ]
    width = max(map(len, COMMANDS))
    lines += [f"  {name:<{width}}  {help_text}" for name, (_, help_text) in COMMANDS.items()]
    return "\n".join(lines) + "\n"


def _unknown(name: str) -> int:
    import difflib  # noqa: PLC0415  (start-up time)

    near = [command for command, words in CALLED_ELSEWHERE.items() if name.lower() in words.split()]
    near = near or difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    _complain(f"tandem: there is no command '{name}'.{hint} The commands are {', '.join(COMMANDS)}.")
    return 2


if __name__ == "__main__":
    sys.exit(main())
