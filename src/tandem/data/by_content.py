"""Which split an image belongs to, as a function of its content alone.

So nothing that is added, renamed or removed moves another image, and equal images are always on the same side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tandem.config.options import Options, option
from tandem.data.splits import SplitName

_DIGITS = 16  # hexadecimal ones: 64 bits


@dataclass(frozen=True, kw_only=True)
class SplitShares(Options):
    """How much of a dataset is held out."""

    val_split: float = option(0.1, "share that becomes the split val", at_least=0, below=1)
    test_split: float = option(0.1, "share that becomes the split test", at_least=0, below=1)

    def problems(self) -> Iterator[str]:
        """Say where nothing would be left to train on."""
        if self.val_split + self.test_split >= 1:
            yield f"--val-split {self.val_split:g} and --test-split {self.test_split:g} leave nothing to train on"

    def of(self, digest: str) -> SplitName:
        """The split of a content, whose hash is given as hexadecimal digits."""
        place = int(digest[:_DIGITS], 16) / 16**_DIGITS
        if place < self.test_split:
            return "test"
        return "val" if place < self.test_split + self.val_split else "train"
