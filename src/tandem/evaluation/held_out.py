"""The images that a run is validated on: part of a split that it is not trained on, the same every time."""

import dataclasses
from collections.abc import Mapping, Sequence

from tandem.config.data import Direction
from tandem.data.splits import HELD_OUT_WHILE_TRAINING, Pair, PairedSplit, Split, UnpairedSplit, first_split
from tandem.errors import DataError


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What is taken of a held-out split.

    Attributes:
        folder: The inputs and outputs that are taken.
        places: By direction, the place of each input in the whole split, which decides its samples.
        num_all: Inputs of the whole split.
    """

    folder: Split
    places: Mapping[Direction, Sequence[int]]
    num_all: int

    @property
    def num_inputs(self) -> int:
        """Inputs that are taken."""
        return len(self.folder)


def held_out(splits: Mapping[str, Split], most: int) -> HeldOut:
    """Take inputs from the split val, else test.

    Args:
        splits: All splits of the data.
        most: At most so many, spread evenly over the split; of shards that are fetched as they are read the first
            ones, which lie in the fewest files. 0 takes all.

    Raises:
        DataError: There is neither.
    """
    chosen = first_split(splits, HELD_OUT_WHILE_TRAINING)
    if chosen is None:
        raise DataError(
            "--validate-every needs images that the model is not trained on, and the dataset has neither a split val "
            "nor test: put some images of the same kind into DATA/val, hold some of train out with --val-split 0.1, or "
            "leave the option out."
        )
    folder = _as_pairs(chosen)
    streamed = folder.facts is not None
    directions: tuple[Direction, ...] = ("AtoB", "BtoA")
    places: dict[Direction, list[int]] = {
        each: _places(len(folder.inputs(each)), most, streamed=streamed) for each in directions
    }
    part = folder.part(lambda items: [items[i] for i in _places(len(items), most, streamed=streamed)])
    return HeldOut(part, places, len(folder))


def _as_pairs(folder: Split) -> Split:
    """Two domains as pairs where their images have the same names, as 'tandem evaluate' takes them."""
    if not isinstance(folder, UnpairedSplit) or folder.facts is not None or len(folder.a) != len(folder.b):
        return folder
    if any(a.name != b.name for a, b in zip(folder.a, folder.b, strict=True)):
        return folder
    pairs = [Pair(a.name, a.file, None if a.half else b.file) for a, b in zip(folder.a, folder.b, strict=True)]
    root, name, layout = folder.root, folder.name, folder.layout
    return PairedSplit(root, name, layout, pairs, num_ignored=folder.num_ignored, shards=folder.shards)


def _places(count: int, most: int, *, streamed: bool) -> list[int]:
    if not most or count <= most:
        return list(range(count))
    if streamed or most == 1:
        return list(range(most))
    return [i * (count - 1) // (most - 1) for i in range(most)]
