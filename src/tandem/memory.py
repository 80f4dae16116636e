"""Memory that is not there: what an error of the system, of NumPy or of PyTorch says of it, in words that help."""

import errno
import os
import re
from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "train": "Lower --batch-size or --size, split the batch with --accumulate, or give --recompute-activations; lower "
    "--decoded-gb and --num-workers where the memory of the machine is short",
    "sample": "Lower --max-batch or --memory-gb, or give --tile",
    "serve": "Lower --max-megapixels, --max-samples, --max-batch or --workers",
    "evaluate": "Lower --batch-size or --num-samples, or give --tile",
    "calibrate": "Lower --num-samples",
    "bench": "Lower --batch-size or --size",
}
"""By command, which options help."""
OTHERWISE = "Close other programs, or work on smaller images"

_UNITS = {"bytes": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50}
_AMOUNT = r"([\d.]+) ?(bytes|[KMGTP]iB|B)\b"
_ASKED = re.compile(rf"(?:[Tt]ried to allocate|Unable to allocate) {_AMOUNT}")
_FREE = re.compile(rf"of which {_AMOUNT} is free")
_SAYS_SO = ("out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc", "bad allocation")
_ONEDNN = ("could not create a primitive", "could not execute a primitive", "could not create a memory object")
"""Of oneDNN, which computes convolutions on CPUs: the same words for too little memory and for too large an image."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, of the machine or of a GPU, or may say so."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in (*_SAYS_SO, *_ONEDNN))


def describe(error: BaseException, command: str) -> str:
    """What to say of such an error: whose memory, how much is missing as far as that is known, and what helps.

    Args:
        error: For which `is_out_of_memory` holds.
        command: Whose options may help.
    """
    text = str(error)
    on_gpu = "CUDA" in text or "MPS" in text
    asked, free = _amount(_ASKED, text), _amount(_FREE, text) if on_gpu else _available()
    lead = "the GPU has too little memory" if on_gpu else "there is too little memory"
    if any(words in text for words in _ONEDNN):
        lead = f"there is too little memory, or the image is too large for oneDNN, which says '{text}'"
    parts = [] if asked is None else [f"{_words(asked)} were asked for at once"]
    parts += [] if asked is None or free is None else [f"{_words(free)} are free"]
    if asked is not None and free is not None and asked > free:
        parts.append(f"so at least {_words(asked - free)} are missing")
    told = f": {', '.join(parts)}" if parts else ""
    return f"{lead}{told}. {ADVICE.get(command, OTHERWISE)}."


def _amount(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return None if found is None else round(float(found[1].rstrip(".")) * _UNITS[found[2].lower()])


def _available() -> int | None:
    """Bytes of the machine that are free; None where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            line = next(line for line in file if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _words(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
