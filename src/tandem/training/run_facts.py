"""What a run's page says of where it comes from: data, dates, versions."""

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from tandem.locks import LOCK_NAME
from tandem.names import public_location
from tandem.training.inputs import Inputs
from tandem.training.run_folder import RunFolder
from tandem.version import __version__


def facts_of(inputs: Inputs, run: RunFolder, data: Sequence[Path | str]) -> dict[str, str]:
    """By their names, as text, what doesn't change while the run lasts.

    Args:
        inputs: The data.
        run: The run's folder, which exists.
        data: Where the data is, as it was given.
    """
    splits = {f"Split {name}": split.describe().removeprefix(f"{name}: ") for name, split in inputs.splits.items()}
    versions = f"Tandem {__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    begun = (run.root / LOCK_NAME).stat().st_mtime  # the first file of a run, which is never written again
    return {
        "Data": " and ".join(map(public_location, data)),
        **splits,
        "Fingerprint of the training images": inputs.fingerprint,
        "Folder of the run": str(run.root),
        "Started": moment(datetime.datetime.fromtimestamp(begun, datetime.UTC)),
        "Versions": versions,
    }


def moment(when: datetime.datetime) -> str:
    """A time of day in UTC, to the minute."""
    return f"{when:%Y-%m-%d} {when:%H:%M} UTC"
