"""Where numbers mislead for reasons that lie in the images: copies of training images, JPEG, other sizes."""

import numpy as np

from tandem.data.image_file import DiskFile
from tandem.data.pixels import convert_channels, resize
from tandem.errors import DataError
from tandem.evaluation.cases import FileCase, Loaded, SampledModel
from tandem.evaluation.rows.measurement import EachCase
from tandem.evaluation.subject import Subject
from tandem.report.grid import shown

THUMBNAIL_SIDE = 16
NO_PIXEL = -1000
"""In the thumbnail of an image that cannot be read: far from every pixel."""

NEAR = 2.0
"""Mean absolute difference of two thumbnails (0 to 255) below which images count as near duplicates.

Of apple2orange's oranges three test images are this near to training images (0 to 1.2) and the others 9 or more apart;
photographs of façades or shoes are 12 or more apart, and drawings of the demo dataset, mostly white, 3.7 or more."""

_JPEG = frozenset({".jpg", ".jpeg"})
_BLOCK = 256


def cautions(subject: Subject) -> list[str]:
    """What can be said without looking at the pixels; reads the files once for their hashes."""
    found = []
    reals = subject.reals
    jpeg = sum(case.image.file.suffix.lower() in _JPEG for case in reals)
    if jpeg:
        found.append(
            f"{jpeg} of {len(reals)} real images are JPEG: their artefacts count as content, and generated images "
            "without them are further away than they should be."
        )
    if subject.model is not None:
        found += _fit_cautions(subject, subject.model)
    if subject.model is not None and subject.data.get("split") == "train":
        found.append(
            "these are images of the split train, on which the model may have been trained: the numbers are no "
            "validation, and better than on new images."
        )
    train = {case.key(1) for case in subject.train}
    same = sum(case.key(1) in train for case in reals) if train else 0
    if same:
        found.append(
            f"{same} of {len(reals)} real images are files of the training split too: the model has seen them, and "
            "numbers are better than on new images."
        )
    if subject.model is None:
        found += _folder_cautions(subject)
    return found


def _fit_cautions(subject: Subject, model: SampledModel) -> list[str]:
    """What the sizes of the inputs do to the numbers."""
    rule, fit = model.rule, model.fit
    found = []
    targets = [rule.target(*size, fit, multiple=model.translator.multiple) for size in subject.sizes]
    resized = sum(target != size for target, size in zip(targets, subject.sizes, strict=True))
    if resized:
        found.append(
            f"{resized} of {len(targets)} inputs were brought to the size of training and their outputs back "
            f"({rule.key(fit)}), which blurs them."
        )
    texts = [text for size in subject.sizes if (text := rule.warning(*size, fit, model.input_sizes))]
    if texts:
        found.append(f"the scale of {len(texts)} of {len(targets)} inputs is not that of training: {texts[0]}.")
    return found


def _folder_cautions(subject: Subject) -> list[str]:
    found = []
    known = {subject.hashes(case.image.file) for case in subject.reals}
    fakes = [case for case in subject.cases if isinstance(case, FileCase)]
    same = sum(subject.hashes(case.image.file) in known for case in fakes)
    if same:
        found.append(
            f"{same} of {len(fakes)} images are the same files in both folders: images are compared with themselves."
        )
    sizes = [{size for case in subject.reals if (size := _size(case))}, {*subject.sizes}]
    if sizes[0] != sizes[1] or len(sizes[0]) > 1:
        found.append(
            "the images have different sizes: whatever brought them, or now brings them, to one size is part of every "
            "number."
        )
    return found


class Thumbnails(EachCase):
    """A tiny copy of the first sample, ``(16 · 16 · 3,)``, int16, to find near duplicates by; else `NO_PIXEL`."""

    def __init__(self) -> None:
        super().__init__("thumbnail", depends_on="int16")

    def row(self, loaded: Loaded) -> np.ndarray:
        """See `EachCase`."""
        image = loaded.samples(1)[0]
        if not image.size:
            return np.full(THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3, NO_PIXEL, np.int16)
        return resize(convert_channels(shown(image), 3), THUMBNAIL_SIDE, THUMBNAIL_SIDE).ravel().astype(np.int16)


def near_duplicates(reals: np.ndarray, train: np.ndarray) -> int:
    """How many of the thumbnails ``(N, D)`` are nearly equal to one of ``(M, D)``, int16."""
    count = 0
    for row in reals:
        nearest = min(
            float(np.abs(train[start : start + _BLOCK] - row).mean(axis=1).min())
            for start in range(0, len(train), _BLOCK)
        )
        count += nearest < NEAR
    return count


def near_duplicate_cautions(reals: np.ndarray, train: np.ndarray) -> list[str]:
    """Warnings if test images look like training images, and if there are training images that cannot be read."""
    found = []
    if unreadable := int((train[:, 0] == NO_PIXEL).sum()):
        found.append(
            f"{unreadable} of {len(train)} images of the training split cannot be read: whether test images look like "
            "them is not known ('tandem data check' names them)."
        )
    if count := near_duplicates(reals, train):
        found.append(
            f"{count} of {len(reals)} real images look like an image of the training split (16 px thumbnails differ by "
            f"less than {NEAR:g} of 255): are they frames of one film, or copies?"
        )
    return found


def _size(case: FileCase) -> tuple[int, int] | None:
    try:
        return case.image.size() if isinstance(case.image.file, DiskFile) else None
    except DataError:
        return None
