"""The record of a sampling: a line of settings, then a line per finished input with the latent of every picture.

The settings are all that pixels depend on beside the input, so the same ones on the same folder go on after the last
finished input. Every line names the files that were written with a hash of each: of an earlier sampling those are
removed that no longer belong, and what somebody has put in their place stays.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from tandem.config.options import options_of
from tandem.data.image_file import DiskFile
from tandem.errors import DataError
from tandem.files import atomic_write_text, remove_empty
from tandem.foreign import read_bounded
from tandem.inference.runtime import Runtime
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator
from tandem.version import __version__

MAX_RECORD_BYTES = 1 << 30
PICTURES = "images"
_HASH_DIGITS = 16

log = logging.getLogger(__name__)


def settings_of(translator: Translator, options: SamplingOptions) -> dict[str, Any]:
    """All that decides the pixels of an input's samples, and which files they become, as JSON.

    Every option of `SamplingOptions` and of `Runtime` is in it, so that a new one cannot be forgotten.
    """
    manifest, z = translator.manifest, options.z
    drawn = {one.field: getattr(options, one.field) for one in options_of(SamplingOptions)}
    drawn |= {
        "num_samples": options.num_samples if z is None else len(z),
        "seed": options.seed if z is None else None,
        "z": None if z is None else z.tolist(),
        "references": [DiskFile(path).describe() for path in options.references],
    }
    if options.spread and manifest.calibration is not None:
        drawn["calibration"] = dataclasses.asdict(manifest.calibration)
    run = {one.field: getattr(translator.runtime, one.field) for one in options_of(Runtime)}
    settings = {
        "tandem": __version__,
        "model": None if manifest.weights is None else manifest.weights.sha256,
        "steps": manifest.training.get("steps"),
        "preprocessing": dataclasses.asdict(manifest.preprocessing),
        **drawn,
        "runtime": run | {"device": translator.device},
    }
    return json.loads(json.dumps(settings))


@dataclass
class SampleRecord:
    """The record in a folder.

    Attributes:
        path: Its file.
        settings: Those of this sampling.
        done: The line of each finished input, by its name.
        obsolete: Files of an earlier sampling that do not belong to this one, with their hashes.
    """

    path: Path
    settings: Mapping[str, Any]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    obsolete: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder that the files are in."""
        return self.path.parent

    def read(self) -> None:
        """Take over what an earlier call with the same settings has finished, and note what another one has left.

        Raises:
            DataError: It is damaged.
        """
        settings, lines = _lines(self.path)
        if settings != dict(self.settings):
            for line in lines:
                self._give_up(line)
            return
        for line in lines:
            try:
                complete = all((self.folder / file).is_file() for file in checked_files(line))
                name = line["name"]
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise DataError(f"{self.path} is damaged ({error!r}): remove it, or give another --out.") from error
            if complete:
                self.done[name] = line
            else:
                self._give_up(line)

    def take_over(self, other: Path) -> None:
        """Note all files of the record of another kind of sampling, and the record itself, as obsolete."""
        for line in _lines(other)[1]:
            self._give_up(line)

    def drop(self, name: str) -> None:
        """Forget an input that has changed or can no longer be read; its files are obsolete."""
        if name in self.done:
            self._give_up(self.done.pop(name))

    def put_in_order(self, names: Sequence[str]) -> bool:
        """Have the inputs of this call stand in their order, behind those of earlier ones; whether that changes it."""
        now = set(names)
        order = [*(name for name in self.done if name not in now), *(name for name in names if name in self.done)]
        if order == list(self.done):
            return False
        self.done = {name: self.done[name] for name in order}
        return True

    def write(self) -> None:
        """Write all lines."""
        lines = [self.settings, *self.done.values()]
        atomic_write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def remove_obsolete(self) -> None:
        """Remove the files of earlier samplings that no line names any more, unless somebody has changed them."""
        if not self.obsolete:
            return
        kept = {file for line in self.done.values() for file in line["files"]}
        for file, digest in self.obsolete.items():
            path = self.folder / file
            base = self.folder / PICTURES if file.startswith(f"{PICTURES}/") else self.folder
            inside = path.resolve().is_relative_to(base.resolve())
            if file in kept or not path.is_file() or path.is_symlink() or not inside:
                continue
            if hash_of_file(path) == digest:
                path.unlink()
                remove_empty(subfolders_of(self.folder, [file]))
            else:
                log.warning(
                    "%s has been changed since it was sampled: it stays, but belongs to an earlier sampling", path
                )
        self.obsolete.clear()

    def _give_up(self, line: Mapping[str, Any]) -> None:
        try:
            self.obsolete |= checked_files(line)
        except (AttributeError, KeyError, TypeError, ValueError):
            log.warning("%s has a line that names no files: what belongs to it stays", self.path)


def checked_files(line: Mapping[str, Any]) -> dict[str, str]:
    """The files that a line names, relative to the folder, with their hashes.

    Raises:
        KeyError, TypeError, ValueError: It is no line of a record, or names files elsewhere.
    """
    files = line["files"]
    for file, digest in files.items():
        inside = "/".join(PurePath(file).parts) == file and not {"", "..", "/"} & {*file.split("/")}
        if not inside or not isinstance(digest, str):
            raise ValueError(f"{file!r:.80} is no file of a sampling")
    return dict(files)


def subfolders_of(folder: Path, files: Iterable[str]) -> list[Path]:
    """The folders below one that files lie in, which are named relative to it, the innermost first."""
    found = {one for file in files for one in PurePath(file).parents if one.name and one != PurePath(PICTURES)}
    return [folder / one for one in sorted(found, key=lambda one: -len(one.parts))]


def hash_of_file(path: Path) -> str:
    """The beginning of the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_DIGITS]


def hashes_of(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """The hash of each of some files in a folder."""
    return {file: hash_of_file(folder / file) for file in files}


def _lines(path: Path) -> tuple[Any, list[Any]]:
    """The settings and the lines of a record; what a kill has cut off, and all behind it, is left out."""
    if not path.exists():
        return None, []
    try:
        content = read_bounded(path, MAX_RECORD_BYTES)
    except ValueError as error:
        raise DataError(f"{path} is no record of samples: {error}. Remove it.") from error
    found = []
    for line in content.decode("utf-8", errors="replace").split("\n"):
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            break
    return (found[0], found[1:]) if found else (None, [])
