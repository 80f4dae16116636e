"""What bundles made by tests say of the sizes of images."""

from typing import Any

from tandem.checkpoint.manifest import Preprocessing
from tandem.data.check_report import SizeRange


def preprocessing(size: tuple[int, int], channels: tuple[int, int] = (3, 3), **more: Any) -> Preprocessing:
    """That of a model trained on crops of `size` (height, width) out of images of that size."""
    height, width = size
    files = SizeRange(width, width, height, height, width / height, width / height)
    return Preprocessing(
        **(
            {
                "size": size,
                "preprocess": "crop",
                "input_sizes": files,
                "output_sizes": files,
                "direction": "AtoB",
                "input_channels": channels[0],
                "output_channels": channels[1],
            }
            | more
        )
    )
