"""What a result says of the weights that its numbers depend on."""

from collections.abc import Sequence
from typing import Any

from tandem.evaluation.networks.weights import WeightsSource


def described_weights(source: WeightsSource) -> dict[str, Any]:
    """A weight file for a report."""
    return {"file": source.path.name, "sha256": source.sha256, "published": source.published}


def unpublished_warnings(sources: Sequence[WeightsSource | None]) -> tuple[str, ...]:
    """Names networks that a published name stands for, with other weights in them."""
    return tuple(
        f"{source.path.name} is not the published file of '{source.name}': the number is another metric."
        for source in sources
        if source is not None and not source.published
    )
