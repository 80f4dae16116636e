"""Images that are there twice: the same pixels, or nearly the same picture.

Nearly the same are images whose sketches differ in few of 64 bits and whose small copies agree; of sketches that differ
in at most three bits one of four parts of 16 bits is the same, so only those that share a part are compared.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from tandem.data.examine.images import ImageFacts

MOST_BITS = 3
"""Of the sketches of nearly the same images, that differ."""
LEAST_ALIKE = 0.995
"""Correlation of their small copies."""
MOST_APART = 8.0
"""Mean difference of these, of 255."""
_MOST_IN_ROW = 200


def groups_of_equals(images: Sequence[ImageFacts]) -> list[list[int]]:
    """The indices of images with the same pixels, of each group at least two."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        found[image.digest].append(index)
    return [group for group in found.values() if len(group) > 1]


def near_groups(images: Sequence[ImageFacts]) -> list[list[int]]:
    """The indices of images that are the same or nearly so, joined to groups; images of one colour are left out."""
    parent = list(range(len(images)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in _near(images):
        parent[root(one)] = root(other)
    found: dict[int, list[int]] = defaultdict(list)
    for index in range(len(images)):
        found[root(index)].append(index)
    return [group for group in found.values() if len(group) > 1]


def _near(images: Sequence[ImageFacts]) -> Iterator[tuple[int, int]]:
    for group in groups_of_equals(images):
        yield from pairwise(group)
    sketches = np.array([image.sketch for image in images], np.uint64)
    small = np.stack([image.small.ravel() for image in images]).astype(np.float32) if images else np.empty((0, 1))
    centred = small - small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    for part in range(4):
        rows: dict[int, list[int]] = defaultdict(list)
        for index, value in enumerate((sketches >> np.uint64(16 * part)) & np.uint64(0xFFFF)):
            if length[index] > 0:
                rows[int(value)].append(index)
        for row in rows.values():
            for at, one in enumerate(row[1:], 1):
                # Of very many that look alike the next ones before it are enough to join them.
                others = np.array(row[max(0, at - _MOST_IN_ROW) : at])
                differing = (sketches[others] ^ sketches[one]).view(np.uint8).reshape(-1, 8)
                bits = np.unpackbits(differing, axis=1).sum(axis=1)
                alike = centred[others] @ centred[one] / (length[others] * length[one])
                apart = np.abs(small[others] - small[one]).mean(axis=1)
                close = (bits <= MOST_BITS) & (alike >= LEAST_ALIKE) & (apart <= MOST_APART)
                yield from ((int(other), one) for other in others[close])
