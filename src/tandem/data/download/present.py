"""What a dataset's folder holds: nothing, all of the dataset, or something else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tandem.config.parse import parse_dataclass
from tandem.data.download.catalogue import RemoteDataset
from tandem.data.download.unpack import count_images, describe_counts
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_text
from tandem.foreign import load_json

MARKER_NAME = ".tandem-dataset.json"
"""What was put into the folder of a dataset, and from where."""

_MAX_MARKER_BYTES = 1 << 16


@dataclass(frozen=True)
class Installed:
    """A dataset in its folder; the fields are those of its marker.

    Attributes:
        dataset: Its key in the catalogue.
        source: URL or name of the archive.
        sha256: Of the archive.
        folders: Numbers of images.
        num_left_out: Files of the archive that were not taken.
    """

    dataset: str
    source: str
    sha256: str
    folders: Mapping[str, int]
    num_left_out: int


def installed(entry: RemoteDataset, out: Path) -> Installed | None:
    """The dataset in `out` if it is there and complete, None if it can be put there.

    Raises:
        ConfigError: `out` holds something else.
        DataError: The dataset is there, but images are missing.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(
            f"--out {out} is a file; give a folder for the dataset, e.g. datasets/{entry.default_folder}."
        )
    if not out.exists() or not any(out.iterdir()):
        return None
    counts, marker = count_images(out), _read_marker(out / MARKER_NAME)
    if marker is None:
        complete = entry.folders and dict(entry.folders) == {name: counts.get(name) for name in entry.folders}
        if not complete:
            raise ConfigError(
                f"--out {out} holds other files, which are not known to be {entry.key}: give a folder of its own."
            )
        return Installed(entry.key, "put there by other means", "", counts, 0)
    if marker.dataset != entry.key:
        raise ConfigError(f"--out {out} holds {marker.dataset}: give another folder for {entry.key}.")
    if counts != marker.folders:
        raise DataError(
            f"{out} held {describe_counts(marker.folders)} and holds {describe_counts(counts)}: images were removed or "
            "added. Move the folder away to install the dataset anew."
        )
    return marker


def write_marker(folder: Path, content: Installed) -> None:
    """Note in the folder what it holds."""
    atomic_write_text(folder / MARKER_NAME, json.dumps(asdict(content), indent=1))


def _read_marker(path: Path) -> Installed | None:
    try:
        if path.stat().st_size > _MAX_MARKER_BYTES:
            return None
        return parse_dataclass(Installed, load_json(path, _MAX_MARKER_BYTES), path.name)
    except (OSError, ValueError, RecursionError):
        return None
