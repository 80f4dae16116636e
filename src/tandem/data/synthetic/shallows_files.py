"""Writing scenes of shallow water as a dataset of GeoTIFFs, interruptible at any moment."""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tandem.config.options import Options, option
from tandem.data.array_files import encoded
from tandem.data.formats.carried import Carried
from tandem.data.formats.tiff_tags import RawTag
from tandem.data.prepare.work import Task, write_items
from tandem.data.splits import SPLITS, SplitName
from tandem.data.synthetic.dataset import split_index
from tandem.data.synthetic.info import MAX_COUNT
from tandem.data.synthetic.shallows import BANDS_NM, MAX_SIDE, MIN_SIDE, SCALE, WATERS, draw_shallows, water_of
from tandem.files import atomic_write_text

SHALLOWS_NAME = "shallows.json"
_METRES = 2.0
"""Side of a pixel on the map."""
_DOUBLE, _SHORT = 12, 3
_SCENES_A_ROW = 1000


@dataclass(frozen=True, kw_only=True)
class ShallowsOptions(Options):
    """What the dataset holds."""

    height: int = option(64, "height of the images in pixels", at_least=MIN_SIDE, at_most=MAX_SIDE)
    width: int = option(96, "width of the images in pixels", at_least=MIN_SIDE, at_most=MAX_SIDE)
    seed: int = option(0, "everything that is drawn follows from it")
    num_train: int = option(1000, "training pairs", at_least=0, at_most=MAX_COUNT)
    num_val: int = option(50, "validation pairs", at_least=0, at_most=MAX_COUNT)
    num_test: int = option(50, "test pairs", at_least=0, at_most=MAX_COUNT)

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if not any((self.num_train, self.num_val, self.num_test)):
            yield "there would be no pair at all: ask for at least one with --num-train, --num-val or --num-test"


def write_shallows(
    out: Path, options: ShallowsOptions | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write scenes of shallow water, or complete what an interrupted call with the same options began.

    ``out/trainA/00001.tif`` is the depth in metres (float32), ``out/trainB/00001.tif`` the reflectance in six bands
    (uint16), both GeoTIFFs; the same for ``val`` and ``test``. ``out/shallows.json`` says the type of water of every
    file, and is written last.

    Args:
        out: The folder; made if it does not exist.
        options: What it holds.
        on_progress: Called with the number of pairs that are there and of all pairs.

    Returns:
        `out`.

    Raises:
        DataError: `out` holds something else.
        ConfigError: Another process is at it.
    """
    options = options or ShallowsOptions()
    counts: dict[SplitName, int] = {"train": options.num_train, "val": options.num_val, "test": options.num_test}
    places = {
        f"{split}/{number:05d}": (split, split_index(split, number))
        for split in SPLITS
        for number in range(1, counts[split] + 1)
    }

    def make(task: Task) -> list[bytes]:
        _, index = places[task.key]
        scene = draw_shallows(index, height=options.height, width=options.width, seed=options.seed)
        return [encoded(image, ".tif", _place(index)) for image in (scene.depth, scene.spectra)]

    tasks = [
        Task(key, (), "", (f"{split}A/{key[-5:]}.tif", f"{split}B/{key[-5:]}.tif"))
        for key, (split, _) in places.items()
    ]
    write_items(out, tasks, make, settings=_settings(options), noun="pairs", on_progress=on_progress)
    waters = {key: WATERS[water_of(index, seed=options.seed)].name for key, (_, index) in places.items()}
    described = {"bands_nm": BANDS_NM, "scale": SCALE, "waters": [asdict(water) for water in WATERS], "files": waters}
    atomic_write_text(out / SHALLOWS_NAME, json.dumps(described, indent=1) + "\n")
    return out


def _settings(options: ShallowsOptions) -> dict[str, Any]:
    """What the files depend on; more of them may be asked for later."""
    return {"shallows": 1, "height": options.height, "width": options.width, "seed": options.seed}


def _place(index: int) -> Carried:
    """A place of its own on the map of UTM zone 31 north, in metres."""
    row, column = divmod(index, _SCENES_A_ROW)
    corner = (0.0, 0.0, 0.0, 200_000.0 + 600 * column, 5_000_000.0 - 600 * row, 0.0)
    keys = (1, 1, 0, 3, *(1024, 0, 1, 1), *(1025, 0, 1, 1), *(3072, 0, 1, 32631))
    return Carried(
        geography={
            33550: RawTag(_DOUBLE, 3, struct.pack("<3d", _METRES, _METRES, 0)),
            33922: RawTag(_DOUBLE, 6, struct.pack("<6d", *corner)),
            34735: RawTag(_SHORT, len(keys), struct.pack(f"<{len(keys)}H", *keys)),
        }
    )
