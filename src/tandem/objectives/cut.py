"""CUT and FastCUT (Park et al., 2020, 2007.15651): unpaired translation one way, held to its input by PatchNCE.

PatchNCE (eq. 3 and 4): the feature vector of the output at a location should be nearer to that of the input at the
same location than to those at other locations of the same input. Feature maps of the generator's first half, at
``nce_patches`` random patch locations each, go through a small MLP onto the unit sphere; the loss is the
cross-entropy of telling the right location from the others, the mean over locations, images and layers. No gradient
reaches the input's vectors.

- ``discriminator`` phase, first (disc): ½·(real + fake).
- ``generator`` phase (generator, projector): λ_GAN·GAN(disc, G(a)) + λ_NCE·PatchNCE(a, G(a)); with ``nce_identity``
  the second term is ½·(that + λ_NCE·PatchNCE(b, G(b))).

With ``flip_equivariance`` half of the inputs are flipped, and the features of their outputs are flipped back.

Deviation, equal at the published batch size of 1: every image has locations and a flip of its own, where the
reference draws them once per batch; so a batch that is split over processes gives the same numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandem import rng
from tandem.config.cut import TAPPED_BLOCKS, CUTConfig
from tandem.config.data import DataConfig
from tandem.networks.build import build_network
from tandem.networks.resnet import ResNet
from tandem.objectives.feature_loss import FeatureLoss
from tandem.objectives.losses import discriminator_gan_terms, generator_gan_loss, patch_nce
from tandem.objectives.masking import hidden
from tandem.objectives.objective import Phase, StepTensors, Terms, initialise_networks
from tandem.objectives.pool import ImagePool


@dataclass(frozen=True)
class Fakes:
    """What both phases share; ``(N, C, H, W)`` in [-1, 1].

    Attributes:
        b: G(a), or G of the flipped a.
        idt_b: G(b), or of the flipped b; None without the identity term.
    """

    b: Tensor
    idt_b: Tensor | None


class CUT:
    """The objective; see the file's head. Networks: generator, projector, disc."""

    def __init__(self, config: CUTConfig, data: DataConfig) -> None:
        self.config, self._fill = config, data.mask_fill
        networks: dict[str, nn.Module] = {
            "generator": build_network(config.generator_spec(data)),
            "projector": build_network(config.projector_spec(data)),
        }
        if config.lambda_gan > 0:
            networks["disc"] = build_network(config.discriminator_spec(data))
        self.networks = nn.ModuleDict(networks)
        self.inference_networks: tuple[str, ...] = ("generator",)
        self.samples_with_noise = False
        self.differentiates_gradients = False
        self.joined = True
        self.micro_batches = 1
        self.features: FeatureLoss | None = None
        self.pools: Mapping[str, ImagePool] = {}
        generator = Phase("generator", ("generator", "projector"), self.generator_terms, through_fakes=True)
        discriminator = Phase("discriminator", ("disc",), self.discriminator_terms)
        self.phases: tuple[Phase, ...] = (discriminator, generator) if "disc" in networks else (generator,)
        self._share = config.norm != "batch"

    def initialise(self, seed: int) -> None:
        """Draw all weights, each network from a stream of its own."""
        initialise_networks(self.networks, self.config.init, gain=self.config.init_gain, seed=seed)

    def draw(self, seed: int, positions: Sequence[int]) -> dict[str, Tensor]:
        """Draw the seeds of the locations that are compared, and what is flipped.

        Returns:
            ``patches`` ``(N,)``, int64 (the locations themselves depend on the sizes of the maps; see `_locations`),
            and with ``flip_equivariance`` ``flip`` ``(N, 1, 1, 1)``, 0 or 1.
        """
        seeds = [rng.derive_seed(seed, "patches", position=position) for position in positions]
        drawn = {"patches": torch.tensor(seeds)}
        if self.config.flip_equivariance:
            drawn["flip"] = (rng.uniform(seed, "flip_equivariance", positions, (1, 1, 1)) < 0.5).float()
        return drawn

    def fakes(self, batch: StepTensors) -> Fakes:
        """Translate the batch and, for the identity term, the domain that the generator makes."""
        images = [batch["a"], batch["b"]] if self.config.nce_identity else [batch["a"]]
        images = [self._flipped(image, batch) for image in images]
        generator = self.networks["generator"]
        if len(images) > 1 and self._share and images[0].shape == images[1].shape:
            fakes = generator(torch.cat(images)).chunk(2)
        else:
            fakes = [generator(image) for image in images]
        return Fakes(fakes[0], fakes[1] if len(images) > 1 else None)

    def discriminator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of the discriminator, on detached fakes."""
        disc = self.networks["disc"]
        fake, real = disc(self._shown(fakes.b.detach(), batch)), disc(self._shown(batch["b"], batch))
        real_term, fake_term = discriminator_gan_terms(self.config.gan_loss, real, fake)
        return {"disc_real": 0.5 * real_term, "disc_fake": 0.5 * fake_term}

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The weighted terms of the generator and the projector."""
        config, terms = self.config, {}
        if config.lambda_gan > 0:
            terms["gan"] = config.lambda_gan * generator_gan_loss(
                config.gan_loss, self.networks["disc"](self._shown(fakes.b, batch))
            )
        share = 0.5 if fakes.idt_b is not None else 1.0
        terms["nce"] = (
            share * config.lambda_nce * self._contrast(batch, batch["a"], fakes.b, "nce", batch.get("mask_a"))
        )
        if fakes.idt_b is not None:
            terms["nce_identity"] = (
                share * config.lambda_nce * self._contrast(batch, batch["b"], fakes.idt_b, "idt", batch.get("mask_b"))
            )
        return terms

    def _contrast(
        self, batch: StepTensors, source: Tensor, output: Tensor, use: str, mask: Tensor | None = None
    ) -> Tensor:
        """PatchNCE between an image and what the generator made of it, the mean over the layers."""
        projector = self.networks["projector"]
        if mask is not None:
            output = hidden(output, self._flipped(mask, batch), self._fill)
        queries = [self._flipped(feature, batch) for feature in self._features(output)]
        with torch.no_grad():
            keys = self._features(source)
        locations = self._locations(batch, keys, use, all_of_them=mask is not None)
        valid: Sequence[Tensor | None] = [None] * len(keys)
        if mask is not None:
            chosen = [self._valid_first(mask, key, order) for key, order in zip(keys, locations, strict=True)]
            locations, valid = [one for one, _ in chosen], [one for _, one in chosen]
        with torch.no_grad():
            targets = projector(keys, locations)
        found = zip(projector(queries, locations), targets, valid, strict=True)
        return torch.stack([self._patch_nce(query, target, which) for query, target, which in found]).mean()

    def _features(self, image: Tensor) -> list[Tensor]:
        """The maps of an image that are compared, ``(N, C, H, W)`` each."""
        generator = self.networks["generator"]
        assert isinstance(generator, ResNet)
        return generator.features(image, TAPPED_BLOCKS)

    def _patch_nce(self, query: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        return patch_nce(query, target, temperature=self.config.nce_temperature, valid=valid)

    def _shown(self, images: Tensor, batch: StepTensors) -> Tensor:
        """What the discriminator sees of real or made images: what is valid in both domains' images of the sample.

        Outputs of flipped inputs are masked like these, and so are the real images beside them.
        """
        mask_a, mask_b = batch.get("mask_a"), batch.get("mask_b")
        if mask_a is None or mask_b is None:
            return images
        return hidden(images, self._flipped(mask_a, batch) * mask_b, self._fill)

    def _valid_first(self, mask: Tensor, feature: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        """The first locations of an order ``(N, H·W)`` that are valid, and behind them others: ``(N, P)``, and which.

        A location of a map is valid where all pixels are that it stands for; the first map is that of the image with
        its mirrored edges.
        """
        edge = max(0, (feature.shape[2] - mask.shape[2]) // 2)
        mask = F.pad(mask, [edge] * 4, mode="reflect") if edge else mask
        valid = -F.adaptive_max_pool2d(-mask, feature.shape[2:]) > 0
        in_order = valid.flatten(1).gather(1, order)
        first = torch.argsort(in_order.float(), dim=1, descending=True, stable=True)[:, : self.config.nce_patches]
        return order.gather(1, first), in_order.gather(1, first)

    def _locations(
        self, batch: StepTensors, features: Sequence[Tensor], use: str, *, all_of_them: bool = False
    ) -> list[Tensor]:
        """Of each map, for each image, different random locations: ``(N, P)``, int64; or all, in random order."""
        most = None if all_of_them else self.config.nce_patches
        locations = []
        for index, feature in enumerate(features):
            orders = []
            for seed in batch["patches"].tolist():
                generator = torch.Generator().manual_seed(rng.derive_seed(seed, f"{use}/{index}"))
                order = torch.randperm(feature.shape[2] * feature.shape[3], generator=generator)
                orders.append(order[:most])
            locations.append(torch.stack(orders).to(feature.device, non_blocking=True))
        return locations

    def _flipped(self, image: Tensor, batch: StepTensors) -> Tensor:
        return torch.where(batch["flip"] > 0.5, image.flip(3), image) if self.config.flip_equivariance else image
