"""Named variants: well-known methods that are another method with some of its options set.

The ablations of BicycleGAN are those of its paper (1711.11586, table 1; pix2pix+noise is section 3.1, cVAE-GAN 3.2,
cLR-GAN 3.3): its one objective with terms off. FastCUT is CUT (2007.15651, section 4) without the identity term, with a
heavier contrastive one, and with flipped inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A variant.

    Attributes:
        method: The method that it is a variant of.
        summary: What it is, in a few words.
        options: The options that make it; they win over a preset's.
    """

    method: str
    summary: str
    options: Mapping[str, Any]


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "cvae-gan": Variant(
            "bicyclegan",
            "encoded latents alone: GAN, L1 and KL",
            {"lambda_gan2": 0.0, "lambda_z": 0.0, "latent_trains_encoder": False},
        ),
        "cvae-gan++": Variant(
            "bicyclegan",
            "cVAE-GAN whose outputs for random latents go to the discriminator too",
            {"lambda_z": 0.0, "latent_trains_encoder": False},
        ),
        "clr-gan": Variant(
            "bicyclegan",
            "random latents alone: GAN and latent regression, which trains the encoder",
            {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "latent_trains_encoder": True},
        ),
        "cae-gan": Variant(
            "bicyclegan",
            "cVAE-GAN without KL: an autoencoder of latents without a known distribution",
            {"lambda_gan2": 0.0, "lambda_z": 0.0, "lambda_kl": 0.0, "latent_trains_encoder": False},
        ),
        "pix2pix-noise": Variant(
            "bicyclegan",
            "random latents without an encoder: GAN, and L1 to the ground truth",
            {
                "lambda_gan": 0.0,
                "lambda_l1": 0.0,
                "lambda_kl": 0.0,
                "lambda_z": 0.0,
                "latent_trains_encoder": False,
                "lambda_l1_random": 10.0,
            },
        ),
        "fastcut": Variant(
            "cut",
            "CUT without identity term, with a heavier PatchNCE and flipped inputs",
            {"lambda_nce": 10.0, "nce_identity": False, "flip_equivariance": True},
        ),
    }
)
"""The variants by the name that ``--method`` takes."""
