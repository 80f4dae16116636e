"""The page that a newcomer sees after the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.charts import bar_chart
from tandem.report.page import block, code, figure, link, page, section, stats
from tandem.report.text import escape


@dataclass(frozen=True)
class DemoGroup:
    """What was made of one test drawing; every picture is a path relative to the page.

    Attributes:
        name: Name of the drawing.
        drawing: The input.
        truth: The rendering that belongs to it in the data.
        samples: Outputs for different random z.
        baseline_samples: Outputs of the run without a working latent, for as many z.
        strip: One row of outputs on the way from one z to another.
        animation: The same as a GIF.
        styled: (reference picture, output that took over its style).
    """

    name: str
    drawing: str
    truth: str
    samples: Sequence[str]
    baseline_samples: Sequence[str] = ()
    strip: str | None = None
    animation: str | None = None
    styled: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class DemoView:
    """Everything that the demo's page shows.

    Attributes:
        headline: Heading of the page.
        subtitle: What was done, in a sentence or two.
        summary: The measured mode coverage of the model beside the baseline's, one sentence.
        figures: (label, value, small note) of a few measured numbers.
        frequencies: Series name → {mode: share, 0 to 1}; the true ones first, then the model's, then
            the baseline's.
        groups: One per test drawing.
        training_page: Path of the training page relative to this one.
        next_steps: (what it does, command or code) of things to do next.
    """

    headline: str
    subtitle: str
    summary: str
    frequencies: Mapping[str, Mapping[str, float]]
    groups: Sequence[DemoGroup]
    training_page: str
    next_steps: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, str, str]] = ()


def demo_page(view: DemoView) -> str:
    """Return the HTML of the page."""
    chart = bar_chart(
        view.frequencies,
        title="How often each mode appears",
        y_label="share of samples",
        width=1000,
        height=290,
    )
    parts = [
        stats(view.figures) if view.figures else "",
        section(
            "Many outputs for one input",
            block("charts", [chart]),
            lead=view.summary,
        ),
        *(_group(group) for group in view.groups),
        section("Go on from here", "".join(_step(what, command) for what, command in view.next_steps)),
        section(
            "How it was trained",
            f"<p>Loss curves, samples over time and the latent's health: "
            f"{link(view.training_page, 'the training page')}.</p>\n",
        ),
    ]
    return page(view.headline, "".join(parts), subtitle=view.subtitle)


def _step(what: str, command: str) -> str:
    return f"<h3>{escape(what)}</h3>\n{code(command)}"


def _group(group: DemoGroup) -> str:
    name = group.name
    given = [
        figure(group.drawing, f"Drawing {name}", "drawing"),
        figure(group.truth, f"True rendering of {name}", "truth"),
    ]
    if group.animation is not None:
        given.append(figure(group.animation, f"{name} while z moves", "z in motion"))
    parts = [block("row", given), _samples(name, "Random samples", "sample", group.samples)]
    if group.strip is not None:
        parts.append("<h3>From one z to another</h3>\n")
        parts.append(figure(group.strip, f"{name} on the way from one z to another", kind="strip"))
    if group.styled:
        parts.append("<h3>Style taken from a reference</h3>\n")
        pairs = []
        for index, (reference, output) in enumerate(group.styled, 1):
            pairs.append(figure(reference, f"Style reference {index} for {name}", f"reference {index}"))
            pairs.append(figure(output, f"{name} in the style of reference {index}", "its style, this drawing"))
        parts.append(block("row", pairs))
    if group.baseline_samples:
        title = "The first of the other models"
        parts.append(_samples(name, title, "baseline sample", group.baseline_samples))
    return section(name, "".join(parts))


def _samples(name: str, title: str, kind: str, pictures: Sequence[str]) -> str:
    figures = (figure(path, f"{name}, {kind} {index}") for index, path in enumerate(pictures, 1))
    return f"<h3>{escape(title)}</h3>\n{block('tiles', figures)}"
