"""The heads of PatchNCE (CUT, 2007.15651): sampled feature vectors through a small MLP onto the unit sphere."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tandem.config.specifications import PatchProjectorSpec
from tandem.networks.layers import full_precision

NORM_EPSILON = 1e-7
"""Added to a vector's length before it is divided by it, as in the reference implementation."""


class PatchProjector(nn.Module):
    """One two-layer MLP per tapped layer; see the file's head."""

    def __init__(self, spec: PatchProjectorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, spec.filters), nn.ReLU(inplace=True), nn.Linear(spec.filters, spec.filters))
            for c in spec.channels
        )

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Project the feature vectors at some locations of each map.

        Args:
            features: One map ``(N, C, H, W)``, float, per head.
            positions: Of each map the locations ``(N, P)``, int64, in [0, H·W), row by row.

        Returns:
            Of each map ``(N, P, filters)``, float, of length one (but for an epsilon of 1e-7).
        """
        projected = []
        for head, feature, locations in zip(self.heads, features, positions, strict=True):
            flat = feature.flatten(2).transpose(1, 2)
            vectors = full_precision(head(torch.take_along_dim(flat, locations[:, :, None], 1)))
            # Not the root of a sum of squares, whose slope at a vector of zeros is infinite.
            length = torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
            projected.append(vectors / (length + NORM_EPSILON))
        return projected
