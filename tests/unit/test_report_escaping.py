"""Texts of others stay texts: whatever names, captions and options hold, no page becomes another one."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from test_report_html import Parsed

import tandem.report
from tandem.report import rendering
from tandem.report.comparison_page import ComparedScore, Comparison, comparison_page
from tandem.report.demo_page import DemoGroup, DemoView, demo_page
from tandem.report.evaluation_page import PictureGroup, both_directions_page, evaluation_page
from tandem.report.links import Link
from tandem.report.nature import Nature
from tandem.report.sample_page import SampleGroup, sample_page
from tandem.report.scores import EvaluationReport, LeftOutMetric, MetricResult, Score
from tandem.report.training_page import RunView, Snapshot, training_page

HOSTILE = (
    "</title></style></script></svg><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" autofocus onfocus='alert(1)' x=\"",
    "' onload=alert(1) x='",
    "{{ 7 * 7 }}{% include 'style.css' %}{# gone #}",
    "&lt;i&gt; &amp; <!-- gone -->",
    "a\x00b\x1b[31mc\x7fd\ufffe",
    "caf\udce9 é 日本 \u202e",
)


def training(text: str) -> str:
    train = {"kind": "train", "images": 1, "losses": {text: 1.0, f"d_{text}": 2.0}}
    health = {"kind": "health", "images": 1, "verdict": text, "level": text, "kl_per_dimension": [0.1]}
    conditions = {"split": text, "inputs": text, "samples": text}
    validation = {"kind": "validation", "step": 1, "numbers": {text: 1.0}, "conditions": conditions}
    return training_page(
        RunView(
            name=text,
            state="running",
            message=text,
            step=1,
            images_seen=1,
            total_images=4,
            epoch=0.5,
            rate=1.0,
            seconds_left=1.0,
            memory_mb=1.0,
            device=text,
            config={text: text},
            records=[train, health, validation],
            snapshots=[Snapshot(step, step, f"{step}/{text}") for step in range(20)],
            snapshot_caption=text,
            best=text,
            command=text,
            changed=[(text, text, text)],
            facts={text: text},
            links=[Link(text, text)],
            nature=Nature(latent=True, networks=[text]),
        )
    )


def sample(text: str) -> str:
    group = SampleGroup(text, text, [(text, text)], text, text, text, [(text, text)], text)
    return sample_page(text, [group] * 5, provenance={text: text}, links=[Link(text, text)])


def demo(text: str) -> str:
    group = DemoGroup(text, text, text, [text], [[text], [text]], text, text, [(text, text)])
    return demo_page(
        DemoView(
            headline=text,
            subtitle=text,
            summary=text,
            frequencies={text: {text: 0.5}},
            groups=[group],
            training_pages={text: text},
            next_steps=[(text, text)],
            beside=[text, text],
            figures=[(text, text, text)],
        )
    )


def report(text: str, direction: str) -> EvaluationReport:
    names = (text, f"{text}-infinity")
    scores = tuple(Score(name=n, value=1.0, better="lower", count=1, low=0.5, method=text, note=text) for n in names)
    curve = ((1.0, 1.0), (2.0, 2.0))
    common = {"title": text, "scores": scores, "warnings": (text,), "curve": curve}
    return EvaluationReport(
        versions={text: text},
        subject={"path": text, "direction": direction},
        data={"path": text, "num_inputs": 1, "num_real": 1},
        settings={f"more {text}": [text]},
        results=(
            MetricResult(metric=text, depends_on={text: text}, curve_limit=names[1], **common),
            MetricResult(
                metric="mode-coverage",
                depends_on={"frequencies": [0.5, 0.5]},
                shares={text: 0.5, "other": 0.5},
                shares_title=text,
                outcomes=("frequencies",),
                **common,
            ),
        ),
        left_out=(LeftOutMetric(metric=text, reason=text),),
        warnings=(f"more {text}",),
    )


def evaluation(text: str) -> str:
    return evaluation_page(report(text, ""), [PictureGroup(text, ((text, text),))], links=[Link(text, text)])


def evaluation_of_both(text: str) -> str:
    groups = [PictureGroup(text, ((text, text),))]
    return both_directions_page([(report(text, "AtoB"), groups), (report(text, "BtoA"), groups)])


def comparison(text: str) -> str:
    score = Score(name=text, value=1.0, better="lower", count=1, note=text)
    names = [text, f"more {text}"]
    scores = dict.fromkeys(names, score)
    compared = [ComparedScore(text, "lower", scores, differs) for differs in ((), (text, text))]
    return comparison_page(Comparison(names, compared), links=[Link(text, text)])


PAGES = [training, sample, demo, evaluation, evaluation_of_both, comparison]


def structure(document: str) -> list[tuple[str, frozenset[str]]]:
    """The elements and the names of their attributes, but for the marks of numbers, which follow the text."""
    return [
        (tag, frozenset(attributes)) for tag, attributes in Parsed(document).elements if attributes != {"class": "n"}
    ]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("page", PAGES)
def test_texts_do_not_change_the_page(page: Callable[[str], str], text: str) -> None:
    """A page has the elements that it has with a harmless text of that length, and shows the text as it is."""
    document = page(text)
    document.encode("utf-8")
    assert structure(document) == structure(page("n" * len(text)))
    assert "\x00" not in document
    assert "\x1b" not in document
    shown = text.translate({0x00: 0xFFFD, 0x1B: 0xFFFD, 0x7F: 0xFFFD, 0xFFFE: 0xFFFD}).replace("\udce9", "?")
    assert shown in Parsed(document).text


@pytest.mark.parametrize("page", PAGES)
def test_without_autoescape_that_would_be_seen(page: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    bare = rendering.environment().overlay(autoescape=False)
    monkeypatch.setattr(rendering, "environment", lambda: bare)
    for text in HOSTILE[:2]:
        with pytest.raises(AssertionError):
            test_texts_do_not_change_the_page(page, text)


def test_templates_hold_the_markup() -> None:
    """Python has none, but for the charts; and no template switches the escaping off."""
    folder = Path(inspect.getfile(tandem.report)).parent
    assert [path.name for path in sorted(folder.glob("*.py")) if "</" in path.read_text("utf-8")] == ["charts.py"]
    templates = [path.read_text("utf-8") for path in folder.glob("templates/*.html")]
    assert len(templates) >= 7
    assert not any("safe" in text or "autoescape" in text for text in templates)
