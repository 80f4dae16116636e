"""Reading files of tensors that come from elsewhere: bounded in size, never unpickled."""

import hashlib
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tandem.errors import NoMemoryError, WeightsError, listed
from tandem.interrupts import raise_lost
from tandem.tensors import read_tensors

MAX_BYTES = 1 << 30
"""Larger files are refused, packed or unpacked; the largest published one (VGG16) has 553 MB."""

_PARTS = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        WeightsError: It cannot be read, or is larger than `MAX_BYTES`.
    """
    digest = hashlib.sha256()
    try:
        _check_size(path)
        with path.open("rb") as file:
            while part := file.read(_PARTS):
                digest.update(part)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a PyTorch file (``weights_only=True``) or a safetensors file that holds a state dict.

    A checkpoint with one state dict beside its step and the like stands for that.

    Raises:
        WeightsError: It cannot be read, is too large, or holds anything but names with dense tensors.
    """
    try:
        _check_size(path)
        if path.suffix == ".safetensors":
            loaded = read_tensors(path)
        else:
            _check_archive(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise_lost(error)
        raise _unreadable(path, "a state dict of tensors (.pth or .safetensors)", error) from error
    inner = _state_dicts_in(loaded)
    if len(inner) > 1:
        first = next(iter(inner))
        raise WeightsError(
            f"{path} holds several state dicts ({', '.join(inner)}): save the one that is meant in a file of its own, "
            f"torch.save(torch.load('{path.name}')['{first}'], 'weights.pth')."
        )
    loaded = next(iter(inner.values()), loaded)
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise WeightsError(f"{path} holds a {type(loaded).__name__}; expected a state dict, names with tensors.")
    for name, value in loaded.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            raise WeightsError(f"{path}: '{name}' is no dense tensor, so this is no state dict of weights.")
    total = sum(value.numel() * value.element_size() for value in loaded.values())
    if total > MAX_BYTES:
        raise WeightsError(f"{path} unpacks to {total:,} bytes; at most {MAX_BYTES:,} are read.")
    return loaded


def _state_dicts_in(loaded: object) -> dict[str, dict[str, Tensor]]:
    """The entries of a checkpoint that are state dicts, by name."""
    entries = loaded if isinstance(loaded, dict) else {}
    return {
        str(name): value
        for name, value in entries.items()
        if isinstance(value, dict)
        and value
        and all(isinstance(key, str) and isinstance(one, Tensor) for key, one in value.items())
    }


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a NumPy ``.npz`` file of arrays.

    Raises:
        WeightsError: It cannot be read, is too large, or holds objects.
    """
    try:
        _check_size(path)
        _check_archive(path)
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise WeightsError(f"{path} holds one array; expected a .npz file with several, by name.")
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise_lost(error)
        raise _unreadable(path, "a .npz file of arrays", error) from error


def load_strictly(
    network: nn.Module, state: Mapping[str, Tensor], *, name: str, optional: tuple[str, ...] = ()
) -> None:
    """Load a state dict after checking names, shapes and values.

    Args:
        network: What it is for.
        state: Names with tensors, any floating type.
        name: What to call it in a message.
        optional: Last parts of names that may be missing, for buffers that inference does not use.

    Raises:
        WeightsError: A tensor is missing, left over, of another shape or not finite; a few of them are named.
    """
    expected = network.state_dict()
    missing = [key for key in sorted(expected.keys() - state.keys()) if not key.endswith(optional)]
    problems = [f"{key} is missing" for key in missing]
    problems += [f"{key} has no place in the network" for key in sorted(state.keys() - expected.keys())]
    for key in sorted(expected.keys() & state.keys()):
        if state[key].shape != expected[key].shape:
            problems.append(f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}")
        elif not state[key].isfinite().all():
            problems.append(f"{key} holds values that are not finite")
    if problems:
        kind = type(network).__name__
        raise WeightsError(f"{name}: these are not the weights of {kind}:\n{listed(problems, 5)}")
    network.load_state_dict(state, strict=not optional)


def _check_size(path: Path) -> None:
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise WeightsError(f"{path} is no plain file.")  # a pipe would be waited for
    if (size := status.st_size) > MAX_BYTES:
        raise WeightsError(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} are read.")


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than it may."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > MAX_BYTES:
        raise WeightsError(f"{path} unpacks to {total:,} bytes; at most {MAX_BYTES:,} are read.")


def _unreadable(path: Path, expected: str, error: Exception) -> WeightsError:
    if isinstance(error, WeightsError):
        return error
    if isinstance(error, MemoryError):
        raise NoMemoryError(f"there is not enough memory to read {path}.") from error
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
    return WeightsError(f"{path} cannot be read as {expected}: {reason[:200] or type(error).__name__}.")
