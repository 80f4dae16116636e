"""What the page without a server has to know of its model: the file ``model.json``."""

from collections.abc import Mapping
from typing import Any

from tandem.checkpoint.storage import Storage
from tandem.config.classes import LabelClasses, hex_of
from tandem.config.data import Direction
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, PairEncoderSpec
from tandem.data.label_maps import palette_of
from tandem.data.levels import Levels
from tandem.errors import ConfigError
from tandem.evaluation.options import Palette
from tandem.inference.onnx.model_file import shared_manifest
from tandem.inference.spread import DEFAULT_TOLERANCE
from tandem.inference.translator import Translator
from tandem.prior.distributions import MixturePrior
from tandem.serving.models import describe_model, palette_as_json

MOST_CHANNELS = 4
_DIRECTIONS: Mapping[str, Direction] = {"gen_ab": "AtoB", "gen_ba": "BtoA"}


def about(
    translator: Translator,
    name: str,
    *,
    storage: Storage,
    files: Mapping[str, str],
    palette: Palette | None,
) -> dict[str, Any]:
    """What `model.json` holds, but for the runtime.

    Args:
        translator: The model.
        name: How the page calls it.
        storage: How the weights are stored.
        files: The names of the ONNX files by the networks that they hold.
        palette: Colours of labels.

    Raises:
        ConfigError: Its images are none that a browser shows.
    """
    manifest = shared_manifest(translator.manifest, storage)  # a calibration does not hold for rounded weights
    is_calibrated = manifest.calibration is not None
    size, padded = page_size(translator)
    described = describe_model(name, translator)
    described |= {"size": list(size), "calibrated": is_calibrated}
    networks = {}
    for network, file in files.items():
        spec = manifest.networks[network]
        assert isinstance(spec, GeneratorSpec | ImageEncoderSpec), "others are not exported"
        direction = _DIRECTIONS.get(network, manifest.preprocessing.direction)
        taken, given = translator.levels(direction)
        if isinstance(spec, GeneratorSpec):
            own = _taken(spec.in_channels, taken) | _given(spec.out_channels, given)
            networks[direction] = {"file": file, "padded": list(padded), **own}
            continue
        own = _taken(spec.in_channels, given)
        if isinstance(spec, PairEncoderSpec) and spec.input_channels:
            own["input_channels"] = spec.input_channels
        networks[network] = {"file": file, "padded": _encoded(size, spec), **own}
    return {
        "model": described,
        "palette": palette_as_json(palette),
        "mixture": _mixture(translator),
        "spread": _spread(translator, calibrated=is_calibrated),
        "networks": networks,
    }


def page_size(translator: Translator) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size of the page's pictures, which the model keeps, and that to which they are padded for the network."""
    images, smallest = translator.manifest.preprocessing, 1
    for generator in translator.abilities.generators.values():
        smallest = max(smallest, generator.spec.smallest_side)
    first = images.plan(*images.size, "auto", multiple=translator.multiple, smallest=smallest)
    plan = images.plan(*first.target, "auto", multiple=translator.multiple, smallest=smallest)
    return plan.target, plan.padded


def _encoded(size: tuple[int, int], spec: Any) -> list[int]:
    return [max(side + -side % spec.size_multiple, spec.smallest_side) for side in size]


def _taken(channels: int, levels: Levels) -> dict[str, Any]:
    """How the page makes of pixels what a network takes: a plane for each of these colours, or channels."""
    if levels.classes is None:
        return {"channels": _shown(channels)}
    return {"channels": channels, "colours": _colours(levels.classes)}


def _given(channels: int, levels: Levels) -> dict[str, Any]:
    """How it makes pixels of what a network gives: of planes by these colours."""
    classes = levels.classes
    if classes is None:
        _shown(channels)
        return {}
    ignored = None if classes.ignored is None else hex_of(palette_of(classes)[classes.ignored])
    return {"gives": {"colours": _colours(classes), "ignored": ignored}}


def _colours(classes: LabelClasses) -> list[str]:
    palette = palette_of(classes)
    return [hex_of(palette[one.values[0]]) for one in classes.classes]


def _shown(channels: int) -> int:
    if channels > MOST_CHANNELS:
        raise ConfigError(
            f"this model has images of {channels} channels, and a browser shows 1 (grey) to {MOST_CHANNELS}: serve it "
            "with 'tandem serve', or export it with --to onnx."
        )
    return channels


def _mixture(translator: Translator) -> dict[str, Any] | None:
    prior = translator.prior
    if not isinstance(prior, MixturePrior):
        return None
    return {part: getattr(prior, part).tolist() for part in ("weights", "means", "factors")}


def _spread(translator: Translator, *, calibrated: bool) -> dict[str, Any] | None:
    if not translator.is_stochastic or translator.levels()[1].classes is not None:  # it is one of brightness
        return None
    plan = translator.plan_spread(plain=not calibrated)
    made = plan.calibration
    return {
        "num_samples": plan.num_samples,
        "level": plan.level,
        "scale": None if made is None else made.scale,
        "threshold": DEFAULT_TOLERANCE if made is None else made.threshold,
    }
