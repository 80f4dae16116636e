"""Where the data of a run is: remembered in its folder, so that going on with it needs nothing but the run."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tandem.config.parse import parse_dataclass
from tandem.data.shards.open import as_location, is_url
from tandem.errors import CheckpointError
from tandem.files import atomic_write_text
from tandem.foreign import load_json
from tandem.names import public_location
from tandem.training.run_folder import RunFolder

MAX_BYTES = 2**16


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a folder, or the shards behind a URL, were when the run last trained on them.

    Attributes:
        location: The URL, or the whole path of the folder.
        from_run: The path from the run's folder, which still holds where the two were moved together; empty for a URL.
    """

    location: str
    from_run: str = ""

    def find(self, run: RunFolder) -> Path | str | None:
        """Where it is now; None if it is in neither place."""
        if is_url(self.location):
            return self.location
        beside = Path(os.path.normpath(Path(os.path.abspath(run.root), self.from_run)))  # noqa: PTH100  (no symlinks)
        places = [Path(self.location), *([beside] if self.from_run else [])]
        return next((place for place in places if place.exists()), None)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The data of a run: that of its command, and the folder of domain B where there is one."""

    data: Place
    data_b: Place | None = None


def remember_data(run: RunFolder, data: Path | str, data_b: Path | str | None) -> None:
    """Write down where the data is; a URL that holds a password or a key is not written down."""
    place = _place(run, data)
    if place is None:
        run.sources.unlink(missing_ok=True)
        return
    sources = Sources(data=place, data_b=None if data_b is None else _place(run, data_b))
    atomic_write_text(run.sources, json.dumps(asdict(sources), indent=2) + "\n")


def recall_data(run: RunFolder) -> tuple[Path | str, Path | None]:
    """The data that the run has trained on: that of its command, and the folder of domain B.

    Raises:
        CheckpointError: The run does not say where it is, or it is no longer there.
    """
    sources = _read(run)
    missing = [place.location for place in (sources.data, sources.data_b) if place and place.find(run) is None]
    if missing:
        words = "DATA" if sources.data_b is None else "DATA DATA_B"
        raise CheckpointError(
            f"the data of {run.root} is no longer at {' and '.join(missing)}: say where it is now: tandem train "
            f"{words} --resume {run.root}",
            file=missing[0],
        )
    data = sources.data.find(run)
    data_b = None if sources.data_b is None else sources.data_b.find(run)
    assert data is not None
    return as_location(data), None if data_b is None else Path(data_b)


def _read(run: RunFolder) -> Sources:
    advice = f"give it: tandem train DATA --resume {run.root}"
    try:
        if run.sources.stat().st_size > MAX_BYTES:
            raise ValueError(f"the file is larger than {MAX_BYTES} bytes")
        return parse_dataclass(Sources, load_json(run.sources, MAX_BYTES), run.sources.name)
    except FileNotFoundError as error:
        raise CheckpointError(f"{run.root} does not say where its data is: {advice}", file=run.sources) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{run.sources} cannot be read, so it is not known where the data is ({error}): {advice}", file=run.sources
        ) from error


def _place(run: RunFolder, location: Path | str) -> Place | None:
    if isinstance(location, str) and is_url(location):
        return Place(location=location) if public_location(location) == location else None
    # Not resolved: a link to the data may be meant to lead elsewhere one day.
    path = os.path.abspath(location)  # noqa: PTH100
    try:
        from_run = os.path.relpath(path, os.path.abspath(run.root))  # noqa: PTH100
    except ValueError:  # another drive
        from_run = ""
    return Place(location=path, from_run=from_run)
