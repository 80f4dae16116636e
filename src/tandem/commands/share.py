"""``tandem export RUN|MODEL --to hub``: a folder that the Hugging Face Hub understands, with a model card."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.manifest import SHARED_MANIFEST_NAME, Manifest, bundle_folder, read_manifest
from tandem.checkpoint.seal import CARD_NAME, seal_anew, write_shared
from tandem.config.options import Options, option
from tandem.config.run import differences, from_flat
from tandem.errors import ConfigError, Problem
from tandem.files import belongs_to_others, owned
from tandem.inference.abilities import abilities_of
from tandem.report.model_card import ModelCard, model_card
from tandem.report.scores import REPORT_NAME, EvaluationReport
from tandem.report.text import count

MAX_PICTURE_BYTES = 10 * 2**20
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CardOptions(Options):
    """What the model card says that the model does not know."""

    licence: str = option("unknown", "licence of the weights, by its identifier on the Hub, e.g. mit or cc-by-4.0")
    evaluation: Path | None = option(
        None, "folder of tandem evaluate whose numbers the card has; by default evaluation in the run"
    )
    picture: Path | None = option(
        None, "picture of samples for the card; by default the newest one of the run's gallery"
    )

    def problems(self) -> Iterator[Problem]:
        """Say what cannot stand in a card."""
        if not _LICENCE.fullmatch(self.licence):
            yield Problem(
                f"--licence must be an identifier such as mit, apache-2.0 or cc-by-4.0, not '{self.licence}'",
                "--licence",
                self.licence,
            )
        if self.picture is not None and self.picture.suffix.lower() not in _PICTURES:
            yield Problem(f"--picture must be one of {', '.join(_PICTURES)}, not {self.picture}", "--picture")


def share(model: Path, out: Path, card: CardOptions, *, run: Path) -> None:
    """Write the shared form of a bundle, or seal anew what is one already.

    Args:
        model: The bundle.
        out: Folder of what is written.
        card: What the card says beside what the model knows.
        run: Where evaluation and pictures are looked for.

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: `out` holds other files, or the evaluation is one of other weights.
    """
    if out.resolve() == bundle_folder(model).resolve():
        changed = seal_anew(out)
        log.info("sealed anew: %s", ", ".join(changed) or "nothing has changed")
        return
    if belongs_to_others(out, SHARED_MANIFEST_NAME):
        raise ConfigError(f"--out {out} holds other files and no shared model: give a new folder.", option="--out")
    manifest, weights = read_manifest(model)
    picture = card.picture or _newest_picture(run)
    files: dict[str, bytes] = {}
    if picture is not None:
        if picture.stat().st_size > MAX_PICTURE_BYTES:
            raise ConfigError(f"--picture {picture} has more than {MAX_PICTURE_BYTES} bytes: give a smaller one.")
        files[f"samples{picture.suffix.lower()}"] = picture.read_bytes()
    text = model_card(_card(manifest, out.resolve().name, card, _reports(manifest, card, run), next(iter(files), "")))
    with owned(out, "writing a model to"):
        write_shared(out, manifest, weights, {CARD_NAME: text.encode()} | files)
    log.info("to be shared: %s. Say in %s what it is for, then: tandem push %s USER/NAME", out, out / CARD_NAME, out)


def _newest_picture(run: Path) -> Path | None:
    found = sorted((run / "gallery").glob("step-*.jpg"))
    return found[-1] if found else None


def _reports(manifest: Manifest, card: CardOptions, run: Path) -> list[EvaluationReport]:
    """The numbers of these weights; a folder that was not asked for may be one of other weights."""
    from tandem.evaluation.folder import read_reports  # noqa: PLC0415  (start-up time)

    folder = card.evaluation or run / "evaluation"
    if card.evaluation is None and not (folder / REPORT_NAME).is_file():
        return []
    reports = read_reports(folder)
    assert manifest.weights is not None
    if all(report.subject.get("weights_sha256") == manifest.weights.sha256 for report in reports):
        return reports
    if card.evaluation is not None:
        raise ConfigError(
            f"--evaluation {folder} has measured other weights than those of this model: measure it, tandem evaluate "
            "MODEL DATA.",
            option="--evaluation",
        )
    log.warning("the evaluation in %s is one of other weights, so the card has no numbers", folder)
    return []


def _card(manifest: Manifest, name: str, card: CardOptions, reports: list[EvaluationReport], picture: str) -> ModelCard:
    abilities = abilities_of(manifest)
    images = manifest.preprocessing
    height, width = images.size
    way = " and ".join(abilities.generators).replace("to", " to ")
    many = "many plausible outputs" if abilities.is_stochastic else "one output"
    return ModelCard(
        name=name,
        method=manifest.method,
        licence=card.licence,
        does=f"Translates an image ({way}) into {many}. A {manifest.method} model for {width}×{height} px, "
        f"{images.input_channels} to {images.output_channels} channels"
        + (f", with a latent of {abilities.latent_dim}." if abilities.latent_dim else "."),
        facts=_facts(manifest),
        options=_options(manifest),
        reports=reports,
        picture=picture,
    )


def _facts(manifest: Manifest) -> dict[str, str]:
    training = manifest.training
    facts = {"Method": manifest.method, "Written by": f"Tandem {manifest.tandem_version}"}
    for key, told in (("Steps", "steps"), ("Images seen", "images_seen"), ("Training images", "num_pairs")):
        if isinstance(training.get(told), int):
            facts[key] = count(training[told])
    for key, told in (("Weights", "weights"), ("Data, SHA-256 of its names", "data_fingerprint")):
        if isinstance(training.get(told), str):
            facts[key] = training[told]
    if isinstance(training.get("converted_from"), dict):
        facts["Converted from"] = ", ".join(
            f"{one.get('file')} ({str(one.get('sha256'))[:16]})"
            for one in training["converted_from"].values()
            if isinstance(one, dict)
        )
    facts["Images"] = manifest.preprocessing.describe("auto")
    assert manifest.weights is not None
    if manifest.weights.stored != "fp32":
        facts["Weights stored as"] = manifest.weights.stored
    return facts | {"SHA-256 of the weights": manifest.weights.sha256}


def _options(manifest: Manifest) -> list[str]:
    """What differs from the method's defaults; options of another version are left out."""
    flat = manifest.training.get("options")
    if not isinstance(flat, dict):
        return []
    try:
        config = from_flat(flat)
        default = from_flat({"method": config.objective.method})
    except (ConfigError, TypeError):
        return []
    names = [one.partition(":")[0] for one in differences(default, config)]
    return [f"{name.replace('_', '-')} {_last_part(flat.get(name))}" for name in names]


def _last_part(value: object) -> str:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else str(value)
