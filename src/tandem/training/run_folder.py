"""The folder of a run: where everything is, and that only one process writes there."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tandem.errors import CheckpointError, ConfigError
from tandem.files import atomic_write_text, missing_folders, remove_empty, remove_leftovers
from tandem.locks import LOCK_NAME, FileLock
from tandem.targets import require_folder_target


class RunFolder:
    """Paths of a run, and a lock on them while entered; the system drops the lock of a killed process.

    A run begins when its options are written. One that is refused before that takes with it what entering has made.

    Args:
        root: The folder.
        patience_seconds: How long to wait for the lock: a process that is started again may come before its predecessor
            has gone.

    Raises:
        ConfigError: On entering: there can be no folder, or it holds something that is not a run.
        CheckpointError: On entering: another process is training there.
    """

    def __init__(self, root: Path, *, patience_seconds: float = 0.0) -> None:
        self.root = root
        self._patience_seconds = patience_seconds
        # The first file in the folder of a run: it marks the folder as ours.
        self._lock = FileLock(root / LOCK_NAME)
        self._made: list[Path] = []
        self._is_new = self._is_entered = False

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.root.resolve().name

    @property
    def config(self) -> Path:
        """All options, as YAML."""
        return self.root / "config.yaml"

    @property
    def sources(self) -> Path:
        """Where the data is, as JSON."""
        return self.root / "sources.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def page(self) -> Path:
        """The page that shows the run."""
        return self.root / "index.html"

    @property
    def gallery(self) -> Path:
        """Samples for the fixed inputs over time."""
        return self.root / "gallery"

    @property
    def checkpoints(self) -> Path:
        """Training states."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """The bundle."""
        return self.root / "model"

    @property
    def samples(self) -> Path:
        """Translations of the test split, made when training ends."""
        return self.root / "samples"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tensorboard"

    @property
    def csv(self) -> Path:
        """The log as tables."""
        return self.root / "csv"

    @property
    def wandb(self) -> Path:
        """What Weights & Biases keeps here, and the id of its run."""
        return self.root / "wandb"

    @property
    def cache(self) -> Path:
        """What can be computed again."""
        return self.root / "cache"

    def __enter__(self) -> Self:
        require_folder_target(self.root, "the run")
        ours = any((self.root / name).exists() for name in (LOCK_NAME, self.config.name))
        # Shards that a run has fetched which was refused then stay, so that they needn't be fetched again.
        if self.root.exists() and not ours and any(path != self.cache for path in self.root.iterdir()):
            raise ConfigError(
                f"--out {self.root} holds other files and no run (no {self.config.name}): give a new folder, e.g. "
                f"{self.root / 'NAME'}."
            )
        self._is_new = not ours
        self._made = missing_folders(self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        if not self._lock.acquire(patience_seconds=self._patience_seconds):
            raise CheckpointError(
                f"another process is training in {self.root}: wait for it, stop it, or give another --out."
            )
        self._is_entered = True
        for folder in (self.root, self.gallery, self.cache, self.model):
            remove_leftovers(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock.is_held() and kind is not None and self._is_new and not self.config.exists():
            self._remove_traces()
        self._is_entered = False
        self._lock.release()

    @property
    def is_there(self) -> bool:
        """Whether the folder is still the one that was entered, if it was."""
        return not self._is_entered or self._lock.is_held()

    def require_there(self) -> None:
        """Refuse to write into a folder that is not the one that was entered.

        Raises:
            CheckpointError: Somebody has removed, moved or replaced it.
        """
        if not self.is_there:
            raise CheckpointError(
                f"{self.root} has been removed, moved or replaced while it was trained: nothing more is written. Where "
                f"the folder has been moved, 'tandem train --resume FOLDER' continues from its last checkpoint.",
                file=self.root,
            )

    def _remove_traces(self) -> None:
        """Remove what there is of a run that has not begun, and nothing that was there before or cost a download."""
        events = self.tensorboard.glob("events.out.*")
        for file in (*self.cache.glob("data-check-*.json"), *events, self.metrics, self.root / LOCK_NAME):
            file.unlink(missing_ok=True)
        remove_empty((self.cache, self.tensorboard, *self._made))

    def write_config(self, text: str) -> None:
        """Write the options."""
        atomic_write_text(self.config, text)
