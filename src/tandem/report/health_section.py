"""The section of the training page that shows what was measured on the fixed inputs, for every kind of method."""

from collections.abc import Mapping, Sequence

from tandem.report.charts import bar_chart, line_chart
from tandem.report.markup import Svg
from tandem.report.nature import Nature
from tandem.report.records import HealthRecord, LatentHealth, TranslationHealth
from tandem.report.rendering import ChartSection, Notice, NoticeKind

Points = list[tuple[float, float]]

_LATENT = ("Latent health", "Does z decide what the output looks like?")
_NOISE = ("Diversity", "Does dropout make the samples of one input differ?")
_OTHER = ("Fixed inputs", "Measured on the same inputs at every snapshot.")
_ON_TRAINING_IMAGES = (
    "The fixed inputs are training images, because the dataset has neither a split val nor test: these numbers do not "
    "say how well the model does on new images."
)
_RATIO = "spread / real spread"
_TOGETHER = {
    "cycle": ("There and back: L1 of the cycle", {"cycle_a": "A", "cycle_b": "B"}),
    "change": ("How far a translation moves its input", {"change_a": "A → B", "change_b": "B → A"}),
    "identity": ("L1 of B translated to B", {"identity_b": "B"}),
}


def health_section(health: Sequence[HealthRecord], nature: Nature) -> ChartSection:
    """Return what the section shows.

    Args:
        health: Oldest first.
        nature: What the model can do: nothing is said of a latent, or of samples, where there is none.
    """
    title, lead = _LATENT if nature.latent else _NOISE if nature.noise else _OTHER
    if not health:
        return ChartSection(title, lead=lead, notices=[Notice("Not measured yet.")])
    latest = health[-1].measured
    latent = [(float(one.images), one.measured) for one in health if isinstance(one.measured, LatentHealth)]
    translations = [(float(one.images), one.measured) for one in health if isinstance(one.measured, TranslationHealth)]
    levels: dict[str, NoticeKind] = {"good": "good", "warning": "warning"}
    notices = [Notice(latest.verdict, levels.get(latest.level, "info"))]
    of_what = "the fixed inputs"
    if health[-1].split == "train":
        of_what = "fixed training images"
        notices.append(Notice(_ON_TRAINING_IMAGES))
    charts = [*_latent_charts(latent, nature, of_what), *_translation_charts(translations)]
    return ChartSection(title, charts, lead, notices)


def _latent_charts(health: Sequence[tuple[float, LatentHealth]], nature: Nature, of_what: str) -> list[Svg]:
    """Charts over the training images of each measurement of `of_what`."""
    if not health:
        return []
    latest = health[-1][1]
    charts = []
    if nature.several:
        ratios = [(images, measured.diversity_ratio) for images, measured in health]
        charts.append(_chart({"diversity ratio": ratios}, "Diversity of samples", {"real data": 1.0}, y_label=_RATIO))
    errors = [(x, measured.recovered_z_error) for x, measured in health if measured.recovered_z_error is not None]
    if errors:
        chance = {"chance": latest.recovered_z_chance}
        charts.append(_chart({"recovered z error": errors}, "Error of z recovered from the output", chance))
    if latest.kl_per_dimension:
        bars = {str(index): value for index, value in enumerate(latest.kl_per_dimension, 1)}
        charts.append(bar_chart(bars, title="KL of each dimension of z, latest", y_label="nats"))
    facts = [(images, measured.latents) for images, measured in health if measured.latents is not None]
    distances = [(images, one.distance) for images, one in facts if one.distance is not None]
    if distances:
        title = "Distance of training images' latents from the prior"
        charts.append(_chart({"distance": distances}, title, {}, y_label="nats"))
    l1 = [(images, measured.fixed_l1) for images, measured in health]
    return [*charts, _chart({"L1": l1}, f"L1 to the ground truth, of {of_what}", {})]


def _translation_charts(health: Sequence[tuple[float, TranslationHealth]]) -> list[Svg]:
    charts = []
    for title, names in _TOGETHER.values():
        series = {
            label: [(images, value) for images, measured in health if (value := getattr(measured, name)) is not None]
            for name, label in names.items()
        }
        if any(series.values()):
            charts.append(_chart(series, title, {}))
    return charts


def _chart(
    series: Mapping[str, Points], title: str, reference: Mapping[str, float], *, y_label: str = "mean |difference|"
) -> Svg:
    return line_chart(
        {name: points for name, points in series.items() if points},
        title=title,
        x_label="images",
        y_label=y_label,
        reference=reference,
    )
