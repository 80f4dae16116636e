"""``tandem prior RUN|MODEL [DATA]``: the same model with another prior, fitted to the latents of training images."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tandem.checkpoint.manifest import MANIFEST_NAME, Manifest, bundle_folder
from tandem.commands.parser import Command
from tandem.config.data import LayoutChoice, Mask
from tandem.config.latent_prior import Components, LatentPriorOptions, PriorName, components_problems
from tandem.config.options import REQUIRED, Options, option, refuse, same
from tandem.config.training import TrainingConfig
from tandem.data.shards.open import as_location
from tandem.errors import BundleError, ConfigError, DataError, Problem
from tandem.files import belongs_to_others, owned
from tandem.inference.abilities import Abilities, abilities_of
from tandem.inference.jobs import Trained
from tandem.prior.distributions import NormalPrior
from tandem.report.progress import TaskProgress
from tandem.report.text import count
from tandem.targets import folder_problems
from tandem.threads import choose_threads
from tandem.training.run_folder import RunFolder
from tandem.training.sources import recall_data

if TYPE_CHECKING:  # start-up time
    from torch import nn

    from tandem.checkpoint.bundle import FittedPrior
    from tandem.data.splits import PairedSplit
    from tandem.training.prior import Study

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PriorOptions(Options):
    """Which model gets which prior, and where it goes."""

    model: Path = option(REQUIRED, "folder of a run or of a model with an encoder", positional=True)
    data: str | None = option(
        None,
        "dataset folder, folder or URL of shards, whose training pairs are encoded; by default the data of the run",
        positional=True,
    )
    prior: PriorName = same(LatentPriorOptions, "prior", default="mixture")
    prior_components: Components = same(LatentPriorOptions, "prior_components")
    prior_images: int = same(LatentPriorOptions, "prior_images")
    seed: int | None = option(
        None, "decides which images are encoded and where the fit begins; by default that of the training"
    )
    device: str = same(TrainingConfig, "device")
    threads: int | None = same(TrainingConfig, "threads")
    out: Path | None = option(
        None, "folder for the model; by default beside the one that is given, with the prior in its name: model-mixture"
    )

    def problems(self) -> Iterator[Problem | str]:
        """Say why the model cannot be written there."""
        if self.out is not None:
            instead = f"{MANIFEST_NAME} and the weights (.safetensors) are written into it"
            yield from folder_problems(self.out, "a model", instead=instead)


COMMAND = Command(
    "prior",
    "Fit what a model draws its latents from to the latents of its training images; the weights stay.",
    {"": PriorOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, fit and write the model."""
    (options,) = COMMAND.parse(arguments)
    given = bundle_folder(options.model)
    out = options.out or given.parent / f"{given.name}-{options.prior}"
    _require_free(out, given, options.model)
    from tandem.checkpoint.bundle import load_bundle, load_prior, save_bundle  # noqa: PLC0415  (imports torch)
    from tandem.networks.device import choose_device  # noqa: PLC0415  (imports torch)

    choose_threads(options.threads)
    manifest, networks = load_bundle(given, device=choose_device(options.device))
    abilities = abilities_of(manifest)
    _require_latents(manifest, abilities, options)
    before = load_prior(given, manifest)
    if options.prior == "normal":
        fitted = None
        log.info("latents are drawn from N(0, I) again")
    else:
        study, fitted = _fit(options, manifest, abilities, networks["encoder"])
        _tell(study, before, fitted, abilities.latent_dim)
    with owned(out, "writing a model to"):
        save_bundle(out, manifest, networks, prior=fitted)
    log.info("the model is in %s", out)
    return 0


def _fit(
    options: PriorOptions, manifest: Manifest, abilities: Abilities, encoder: "nn.Module"
) -> "tuple[Study, FittedPrior]":
    from tandem.training.prior import FixedPairs, Study, choose_pairs  # noqa: PLC0415  (imports torch)

    split, seed = _training_pairs(options, manifest), _seed(options, manifest)
    images = manifest.preprocessing
    pairs = FixedPairs(
        choose_pairs(split, options.prior_images, seed=seed),
        images,
        multiple=max(generator.spec.size_multiple for generator in abilities.generators.values()),
        direction=images.direction,
        channels=(images.input_channels, images.output_channels),
        levels=(images.input_levels, images.output_levels),
    )
    with TaskProgress("encoding", len(pairs), "pairs") as progress:
        device = next(encoder.parameters()).device
        study = Study.of(pairs.encode(encoder, device, on_progress=progress.callback), seed=seed)
    fitted = study.fit(options.prior, options.prior_components, seed=seed)
    assert fitted is not None, "not normal"
    return study, fitted


def _tell(study: "Study", before: "FittedPrior | None", fitted: "FittedPrior", latent_dim: int) -> None:
    old, new = (study.facts(NormalPrior(latent_dim) if one is None else one.prior) for one in (before, fitted))
    weights = fitted.prior.weights
    log.info(
        "fitted to the latents of %s training images, which use %d of %d dimensions: %s%s",
        count(new.images),
        new.active,
        latent_dim,
        new.prior,
        f" with weights from {weights.min():.3f} to {weights.max():.3f}" if len(weights) > 1 else "",
    )
    if study.choice is not None:
        tried = ", ".join(f"{value:.2f} with {number}" for number, value in study.choice.held_out.items())
        log.info("mean log density of held-out latents, in nats, by the number of Gaussians: %s", tried)
        distances = old.distance, old.prior, new.distance
        log.info("the latents are at least %.1f nats from %s, and %.1f from the new prior", *distances)


def _training_pairs(options: PriorOptions, manifest: Manifest) -> "PairedSplit":
    """The training pairs: of the data that is given, else of that which the run has trained on."""
    from tandem.data.splits import PairedSplit  # noqa: PLC0415  (start-up time)
    from tandem.training.inputs import find_data  # noqa: PLC0415  (imports torch)

    run = RunFolder(options.model)
    if options.data is not None:
        data = as_location(options.data)
    elif run.sources.is_file():
        data, _ = recall_data(run)
    else:
        raise ConfigError(
            f"{options.model} does not say where its training images are: give the dataset, tandem prior "
            f"{options.model} DATA.",
            option="DATA",
        )
    trained = manifest.training.get("options")
    told = trained if isinstance(trained, dict) else {}
    layout: LayoutChoice = next((one for one in get_args(LayoutChoice) if one == told.get("layout")), "auto")
    mask: Mask = next((one for one in get_args(Mask) if one == told.get("mask")), "none")
    cache = run.cache if run.cache.is_dir() else None
    splits = find_data(data, paired=True, cache=cache, layout=layout, mask=mask)
    split = Trained(manifest.training, cache).divided(splits).get("train")
    if not isinstance(split, PairedSplit):
        raise DataError(f"{data} has no split 'train' of pairs: there is nothing to encode.")
    return split


def _seed(options: PriorOptions, manifest: Manifest) -> int:
    trained = manifest.training.get("options")
    told = trained.get("seed") if isinstance(trained, dict) else None
    return options.seed if options.seed is not None else told if type(told) is int else 0


def _require_latents(manifest: Manifest, abilities: Abilities, options: PriorOptions) -> None:
    if not abilities.latent_dim:
        raise ConfigError(
            f"this model ({manifest.method}) has no latent, so there is nothing that a prior could be of."
        )
    if not abilities.has_encoder:
        raise BundleError(
            f"this model ({manifest.method}) has no encoder: it was trained without one, so there are no latents of "
            "images to fit a prior to."
        )
    refuse(components_problems(options.prior, options.prior_components, abilities.latent_dim))


def _require_free(out: Path, given: Path, model: Path) -> None:
    if out.resolve() in {given.resolve(), model.resolve()}:
        raise ConfigError(
            f"--out {out} is the model itself: give another folder, e.g. {given}-mixture.", option="--out"
        )
    if belongs_to_others(out, MANIFEST_NAME):
        raise ConfigError(f"--out {out} holds other files and no model: give a new folder.", option="--out")
