"""What FFmpeg decodes, as upright arrays of 8 bits.

BT.709 is assumed from 720 lines on where a file does not say which colours it means, BT.601 below.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import av

_UNSPECIFIED = 2  # FFmpeg's number of a colour space that is not known
_HD_LINES = 720


@dataclass(frozen=True)
class Orientation:
    """How a picture comes upright: first transposed, then flipped. Quarter turns are made of these.

    Attributes:
        transposed: Whether rows become columns.
        left_right: Whether left and right are exchanged then.
        up_down: Whether up and down are.
    """

    transposed: bool = False
    left_right: bool = False
    up_down: bool = False

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """``(H, W, C)``, or ``(W, H, C)`` where it is transposed."""
        turned = pixels.swapaxes(0, 1) if self.transposed else pixels
        return np.ascontiguousarray(turned[:: -1 if self.up_down else 1, :: -1 if self.left_right else 1])


def orientation_of(decoded: "av.VideoFrame", before: Orientation = Orientation()) -> Orientation:
    """What a frame's display matrix asks for, or that of the frame before, where it has none: some codecs say it once.

    Of turns by other angles it is the nearest of the eight orientations.

    The matrix (ISO 14496-12, 6.2.2) shows what is at x, y (downwards) at a x + c y, b x + d y; its nine numbers are
    a b u, c d v, x y w. PyAV's `rotation` knows turns only: of a picture with left and right exchanged it says −180.
    """
    from av.sidedata.sidedata import SideDataContainer  # noqa: PLC0415  (optional)

    # The frame's own `side_data` would refer to the frame and the frame to it: frames would wait for the collector.
    found = SideDataContainer(decoded)  # pyright: ignore[reportCallIssue]  (PyAV's types leave the frame out)
    matrix = found.get("DISPLAYMATRIX")
    if matrix is None:
        return before
    a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(left_right=a < 0, up_down=d < 0)
    return Orientation(transposed=True, left_right=c < 0, up_down=b < 0)


def has_alpha(decoded: "av.VideoFrame") -> bool:
    """Whether a frame has a channel for transparency."""
    return any(component.is_alpha for component in decoded.format.components)


def upright_pixels(decoded: "av.VideoFrame", orientation: Orientation, *, transparent: bool) -> np.ndarray:
    """The picture of a frame.

    Returns:
        ``(H, W, 4)`` uint8 where the video is `transparent`, else ``(H, W, 3)``.
    """
    hd = decoded.colorspace == _UNSPECIFIED and decoded.height >= _HD_LINES
    layout = "rgba" if transparent else "rgb24"
    return orientation.upright(decoded.reformat(format=layout, src_colorspace="ITU709" if hd else None).to_ndarray())
