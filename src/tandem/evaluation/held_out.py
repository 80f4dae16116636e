"""The images that a run is validated on: part of a split that it is not trained on, the same every time."""

import dataclasses
from collections.abc import Mapping, Sequence

from tandem.config.data import Direction
from tandem.data.check import Folder
from tandem.data.discover import Pair, PairedFolder
from tandem.errors import DataError

HELD_OUT = ("val", "test")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What is taken of a held-out split.

    Attributes:
        folder: The inputs and outputs that are taken.
        places: By direction, the place of each input in the whole split, which decides its samples.
        num_all: Inputs of the whole split.
    """

    folder: Folder
    places: Mapping[Direction, Sequence[int]]
    num_all: int

    @property
    def num_inputs(self) -> int:
        """Inputs that are taken."""
        return _size(self.folder)


def held_out(splits: Mapping[str, Folder], most: int) -> HeldOut:
    """Take inputs from the split val, else test.

    Args:
        splits: All splits of the data.
        most: At most so many, spread evenly over the split; of record files that are fetched as they are read the first
            ones, which lie in the fewest files. 0 takes all.

    Raises:
        DataError: There is neither.
    """
    chosen = next((name for name in HELD_OUT if name in splits), None)
    if chosen is None:
        raise DataError(
            "--validate-every needs images that the model is not trained on, and the dataset has neither a split val "
            "nor test: put some images of the same kind into DATA/val, or leave the option out."
        )
    folder = _as_pairs(splits[chosen])
    streamed = folder.facts is not None
    if isinstance(folder, PairedFolder):
        places = _places(len(folder.pairs), most, streamed=streamed)
        part: Folder = dataclasses.replace(folder, pairs=[folder.pairs[i] for i in places])
        return HeldOut(part, {"AtoB": places, "BtoA": places}, _size(folder))
    at_a, at_b = (_places(len(side), most, streamed=streamed) for side in (folder.a, folder.b))
    part = dataclasses.replace(folder, a=[folder.a[i] for i in at_a], b=[folder.b[i] for i in at_b])
    return HeldOut(part, {"AtoB": at_a, "BtoA": at_b}, _size(folder))


def _size(folder: Folder) -> int:
    return len(folder.pairs) if isinstance(folder, PairedFolder) else max(len(folder.a), len(folder.b))


def _as_pairs(folder: Folder) -> Folder:
    """Two domains as pairs where their images have the same names, as 'tandem evaluate' takes them."""
    if isinstance(folder, PairedFolder) or folder.facts is not None or len(folder.a) != len(folder.b):
        return folder
    if any(a.name != b.name for a, b in zip(folder.a, folder.b, strict=True)):
        return folder
    pairs = [Pair(a.name, a.path, None if a.half else b.path) for a, b in zip(folder.a, folder.b, strict=True)]
    return PairedFolder(folder.root, folder.split, folder.layout, pairs, folder.num_ignored, folder.shards)


def _places(count: int, most: int, *, streamed: bool) -> list[int]:
    if not most or count <= most:
        return list(range(count))
    if streamed or most == 1:
        return list(range(most))
    return [i * (count - 1) // (most - 1) for i in range(most)]
