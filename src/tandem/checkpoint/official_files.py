"""Reading the weights that official implementations have saved: one state dict a file, of any age, never unpickled."""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from tandem.checkpoint.manifest import sha256_of
from tandem.checkpoint.official_128 import MARK, to_official
from tandem.checkpoint.official_infer import Shape, has_old_instance_norms
from tandem.errors import WeightsError
from tandem.foreign import reading, reason_of
from tandem.networks.backbones.tensor_files import read_state_dict

_WRAPPERS = frozenset({"module", "_orig_mod", "generator", "encoder", "netG", "netE", "G", "E"})
"""What stands in front of every key where a network was saved inside of another module: `torch.nn.DataParallel`,
`torch.compile`, a trainer."""
_FLOATS = frozenset({torch.float32, torch.float16, torch.bfloat16, torch.float64})
_HARMLESS = re.compile(
    r"collections\.OrderedDict|torch(\.cuda)?\.\w+(Storage|Tensor)|torch\._utils\._rebuild_\w+|torch\.(Size|device|\w*float\w*)"
)
"""What a state dict calls while it is read."""
_LEGACY_PICKLES = 4
"""Of a file that is no archive: a number, a version, facts of the machine, the tensors."""


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """A state dict under official keys, as a converter wants it.

    Attributes:
        name: The file's name, for messages.
        sha256: Of the file.
        tensors: By key, without what a module around the network put in front and the buffers of old instance norms;
            float32.
        precisions: What floats the file holds.
    """

    name: str
    sha256: str
    tensors: Mapping[str, Tensor]
    precisions: tuple[str, ...]

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each tensor."""
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}


def read_official(path: Path) -> OfficialFile:
    """Read a file of official weights: zipped or old pickles of tensors (``.pth``, ``.pt``, ``.pkl``), or safetensors.

    Raises:
        WeightsError: It cannot be read, is too large, would run code, or holds anything but floats by name.
    """
    try:
        with warnings.catch_warnings():  # torch warns of pickles that it then refuses
            warnings.simplefilter("ignore")
            state = read_state_dict(path)
    except WeightsError as error:
        raise _explained(path, error) from error
    while len(outer := {key.partition(".")[0] for key in state}) == 1 and outer <= _WRAPPERS:
        state = {key.partition(".")[2]: tensor for key, tensor in state.items()}
    if MARK in state:
        state = to_official(state)
    for key in has_old_instance_norms({key: tuple(tensor.shape) for key, tensor in state.items()}):
        del state[key]
    counters = {key: tensor for key, tensor in state.items() if key.endswith("num_batches_tracked")}
    floats = {key: tensor for key, tensor in state.items() if key not in counters}
    for key, tensor in floats.items():
        if tensor.dtype not in _FLOATS:
            raise WeightsError(
                f"{path}: {key} is {_dtype(tensor)}; weights are floats of 16, 32 or 64 bits.", file=path
            )
        if not tensor.isfinite().all():
            raise WeightsError(f"{path}: {key} holds values that are not finite: the training had failed.", file=path)
    plain = {key: tensor.float().contiguous() for key, tensor in floats.items()}
    return OfficialFile(
        name=path.name,
        sha256=sha256_of(path),
        tensors=plain | {key: tensor.long() for key, tensor in counters.items()},
        precisions=tuple(sorted({_dtype(tensor) for tensor in floats.values()})),
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _explained(path: Path, error: WeightsError) -> WeightsError:
    """Say of a file that torch refuses what it is: foreign, cut short, or a pickle that wants more than tensors."""
    wanted: list[str] = []
    damage = ""
    try:
        with reading(path, ValueError):
            is_torch = _names_in_pickle(path, wanted)
    except ValueError as cause:
        is_torch, damage = True, reason_of(cause.__cause__ or cause)
    except OSError:
        return WeightsError(str(error), file=path)
    if not is_torch:
        return WeightsError(
            f"{path} is no file that PyTorch has saved (the page of a server that refused it, perhaps): expected .pth, "
            ".pt or .pkl with a state dict, or .safetensors.",
            file=path,
        )
    if foreign := [name for name in wanted if not _HARMLESS.fullmatch(name)]:
        return WeightsError(
            f"{path} is not loaded: it wants to call {foreign[0]} while it is read, and a file that calls what it "
            "likes can do anything. Where it is a whole network or a training state that you trust, save its weights "
            "alone, on a machine that has its code: torch.save(network.state_dict(), 'weights.pth').",
            file=path,
        )
    if damage or "unexpected EOF" in str(error):
        damage = damage or "tensors are missing at its end"
        return WeightsError(f"{path} is cut short or damaged ({damage}): copy or download it again.", file=path)
    return WeightsError(str(error), file=path)


def _names_in_pickle(path: Path, found: list[str]) -> bool:
    """Add to `found` what the pickles of a file would call, without calling it; whether there are any."""
    with path.open("rb") as file:
        head = file.read(4)
        if head[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                inner = [name for name in archive.namelist() if name.endswith("data.pkl")]
                if inner:
                    _add_names(archive.open(inner[0]), found)
                return bool(inner)
        if head[:1] != b"\x80":
            return False
        file.seek(0)
        for _ in range(_LEGACY_PICKLES):
            _add_names(file, found)
    return True


def _add_names(file: IO[bytes], found: list[str]) -> None:
    texts: list[str] = []
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL":
            found.append(str(argument).replace(" ", "."))
        elif operation.name == "STACK_GLOBAL":
            found.append(".".join(texts[-2:]))
        elif isinstance(argument, str):
            texts.append(argument)
