"""The model card of a bundle that is shared: Markdown behind a front matter that the Hugging Face Hub reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tandem.report.scores import EvaluationReport, Score
from tandem.report.text import number

LIBRARY = "tandem-gan"
UNKNOWN_DATA = "unnamed data"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What there is to say of a model.

    Attributes:
        name: The model's.
        method: That trained it.
        licence: Its identifier on the Hub, e.g. ``mit``; ``unknown`` where nobody has said.
        does: What it does, in a sentence.
        facts: Of its training, by what they are called.
        options: Options of the run that are not as by default.
        reports: What evaluations of these weights have found, one for each direction.
        picture: File name of samples; empty without any.
    """

    name: str
    method: str
    licence: str
    does: str
    facts: Mapping[str, str]
    options: Sequence[str]
    reports: Sequence[EvaluationReport]
    picture: str = ""


def model_card(card: ModelCard) -> str:
    """The text of README.md."""
    import yaml  # noqa: PLC0415  (start-up time)

    front = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=True, width=1000)
    body = "\n\n".join(_sections(card))
    return f"---\n{front}---\n\n{body}\n"


def _front_matter(card: ModelCard) -> dict[str, Any]:
    matter: dict[str, Any] = {
        "library_name": LIBRARY,
        "pipeline_tag": "image-to-image",
        "license": card.licence,
        "tags": ["image-to-image", "gan", card.method],
    }
    if results := [result for report in card.reports for result in _results(report)]:
        # One entry: the Hub's library puts the results of a second one under its name as well.
        matter["model-index"] = [{"name": card.name, "results": results}]
    return matter


def _results(report: EvaluationReport) -> list[dict[str, Any]]:
    if not report.scores:
        return []
    data = data_name(report)
    way = f" {report.direction}" if report.direction else ""
    dataset: dict[str, Any] = {"name": f"{data}{way}", "type": data}
    if split := report.data.get("split"):
        dataset["split"] = str(split)
    return [
        {
            "task": {"type": "image-to-image", "name": f"Image to image{way}"},
            "dataset": dataset,
            "metrics": [_metric(score) for score in report.scores],
        }
    ]


def _metric(score: Score) -> dict[str, Any]:
    metric: dict[str, Any] = {"type": score.name, "value": float(score.value), "name": score.name}
    if score.low is not None and score.high is not None:
        interval = {"low": float(score.low), "high": float(score.high), "confidence": float(score.confidence)}
        metric["args"] = interval | {"method": score.method, "count": score.count}
    return metric


def data_name(report: EvaluationReport) -> str:
    """The last part of where the images were; the path itself is nobody's business."""
    path = str(report.data.get("path", "")).replace("\\", "/").rstrip("/")
    return path.rpartition("/")[2] or UNKNOWN_DATA


def _sections(card: ModelCard) -> list[str]:
    sections = [f"# {card.name}", card.does]
    if card.picture:
        sections.append(f"![Inputs and what the model makes of them.]({card.picture})")
    sections += [
        "## Use",
        "Install `tandem-gan[hub]`; `tandem pull USER/NAME` gets the whole folder.",
        '```python\nimport tandem\n\ntranslator = tandem.load("hf://USER/NAME")\nimages = translator("input.png")\n```',
        "## Intended use",
        "<!-- Yours to write: what the model is for, and for whom. -->\nNot described yet.",
        "## Limits",
        "<!-- Yours to write: where it fails, which images it was not made for, what it must not be used for. -->\n"
        "Not described yet. It was trained on the data below; images of another kind come out as if they were of that.",
        "## Training",
        "\n".join(["| | |", "|---|---|", *(f"| {_cell(key)} | {_cell(text)} |" for key, text in card.facts.items())]),
    ]
    if card.options:
        sections.append(
            "Options that are not as by default: " + ", ".join(f"`{_code(one)}`" for one in card.options) + "."
        )
    sections.append("## Evaluation")
    if not card.reports:
        sections.append("Not measured.")
    for report in card.reports:
        sections += _evaluation(report)
    return sections


def _evaluation(report: EvaluationReport) -> list[str]:
    way = f", {report.direction}" if report.direction else ""
    split = f", split {report.data['split']}" if report.data.get("split") else ""
    rows = ["| Number | Value | Interval | Better |", "|---|---|---|---|"]
    for score in report.scores:
        interval = ""
        if score.low is not None and score.high is not None:
            interval = f"{number(score.low)} to {number(score.high)} ({score.confidence:.0%}, {_cell(score.method)})"
        rows.append(f"| {_cell(score.name)} | {number(score.value)} | {interval} | {score.better} |")
    inputs = report.data.get("num_inputs")
    count = f", {inputs} inputs" if isinstance(inputs, int) else ""
    return [f"On {_cell(data_name(report))}{_cell(split)}{way}{count}:", "\n".join(rows)]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _code(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")
