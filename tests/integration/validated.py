"""What the tests of validation share: small runs of every method, and the lines of their validations."""

from pathlib import Path
from typing import Any

from support import log_of

NONE = {"encoder_filters": None, "latent_dim": None}
CUT = NONE | {"discriminator_layers": 2, "nce_patches": 8, "nce_filters": 4, "generator_filters": 2}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "bicyclegan": ("pairs", {}),
    "tandem": (
        "pairs",
        {"method": "tandem", "batch_size": 2, "gan_from": 0.0, "lr_schedule": "constant", "init_gain": 3.0},
    ),
    "pix2pix": ("pairs", NONE | {"method": "pix2pix", "size": 64, "generator_filters": 2, "direction": "BtoA"}),
    "cyclegan": ("domains", NONE | {"method": "cyclegan", "generator_blocks": 1, "generator_filters": 2}),
    "cut": ("domains", CUT | {"method": "cut", "direction": "BtoA"}),
}
COMPETING: dict[str, Any] = {"init_gain": 1.0}
"""Networks whose outputs have contrast before they have learnt anything, so that every checkpoint competes."""


def validations_of(run: Path) -> list[dict[str, Any]]:
    return [line for line in log_of(run) if line["kind"] == "validation"]
