"""Where a tile lies in a map, and which part of the layer before it is needed for it."""

from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int]
"""From, up to and without: along one axis."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a map.

    Attributes:
        rows: Its rows.
        columns: Its columns.
    """

    rows: Span
    columns: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    def slices(self) -> tuple[slice, slice]:
        """For indexing the last two axes of a map."""
        return slice(*self.rows), slice(*self.columns)

    def within(self, origin: tuple[int, int]) -> tuple[slice, slice]:
        """For indexing a map that begins at `origin`."""
        return tuple(
            slice(first - start, last - start)
            for (first, last), start in zip((self.rows, self.columns), origin, strict=True)
        )  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def whole(height: int, width: int) -> Window:
    """All of a map."""
    return Window((0, height), (0, width))


def tiles(height: int, width: int, side: int) -> Iterator[Window]:
    """Windows of about `side` by `side` that cover a map once, row by row; of nearly equal sizes."""
    for rows in _pieces(height, side):
        for columns in _pieces(width, side):
            yield Window(rows, columns)


def count_tiles(height: int, width: int, side: int) -> int:
    """How many `tiles` there are."""
    return -(-height // side) * -(-width // side)


def _pieces(length: int, side: int) -> Iterator[Span]:
    count = -(-length // side)
    for index in range(count):
        yield length * index // count, length * (index + 1) // count


def convolution_span(span: Span, *, kernel: int, stride: int, padding: int) -> Span:
    """What a convolution reads for the outputs `span`; it may reach over the edges of the map."""
    return span[0] * stride - padding, (span[1] - 1) * stride - padding + kernel


def transposed_span(span: Span, *, kernel: int, stride: int, padding: int) -> Span:
    """What a transposed convolution reads for the outputs `span`; it may reach over the edges of the map.

    Input i adds to the outputs from ``i·stride − padding`` to ``i·stride − padding + kernel − 1``.
    """
    return -(-(span[0] + padding - kernel + 1) // stride), (span[1] - 1 + padding) // stride + 1


def doubling_span(span: Span) -> Span:
    """What bilinear doubling (half-pixel centres) reads for the outputs `span`; it may reach over the edges.

    Output o lies at ``(o + 1/2) / 2 − 1/2`` between two inputs.
    """
    return (2 * span[0] - 1) // 4, (2 * (span[1] - 1) - 1) // 4 + 2


def clip(span: Span, length: int) -> tuple[Span, Span]:
    """The part of `span` in a map of this length, and how far it reached over the two edges."""
    first, last = max(span[0], 0), min(span[1], length)
    return (first, last), (first - span[0], span[1] - last)
