"""The page that a newcomer sees after the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.charts import bar_chart
from tandem.report.links import Link
from tandem.report.rendering import render_page


@dataclass(frozen=True)
class DemoGroup:
    """What was made of one test drawing; every picture is a path relative to the page.

    Attributes:
        name: Name of the drawing.
        drawing: The input.
        ground_truth: The rendering that belongs to it in the data.
        samples: Outputs for different random z.
        beside: Outputs of each of the other models, for as many z.
        strip: One row of outputs on the way from one z to another.
        animation: The same as a GIF.
        styled: (reference picture, output that took over its style).
    """

    name: str
    drawing: str
    ground_truth: str
    samples: Sequence[str]
    beside: Sequence[Sequence[str]] = ()
    strip: str | None = None
    animation: str | None = None
    styled: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class DemoView:
    """Everything that the demo's page shows.

    Attributes:
        headline: Heading of the page.
        subtitle: What was done, in a sentence or two.
        summary: The measured mode coverage of the model and of the others, in sentences.
        beside: Headings of the samples of the other models: what each is, and how long it was trained.
        figures: (label, value, small note) of a few measured numbers.
        frequencies: Series name → {mode: share, 0 to 1}; the true ones first, then the model's, then the others'.
        groups: One per test drawing.
        training_pages: Names of the models, and their training pages relative to this one.
        drawing_page: The page to draw on, relative to this one; None where there is none.
        next_steps: (what it does, command or code) of things to do next.
    """

    headline: str
    subtitle: str
    summary: str
    frequencies: Mapping[str, Mapping[str, float]]
    groups: Sequence[DemoGroup]
    training_pages: Mapping[str, str]
    next_steps: Sequence[tuple[str, str]]
    beside: Sequence[str] = ()
    figures: Sequence[tuple[str, str, str]] = ()
    drawing_page: str | None = None


def demo_page(view: DemoView) -> str:
    """Return the HTML of the page."""
    chart = bar_chart(
        view.frequencies,
        title="How often each mode appears",
        y_label="share of samples",
        width=900,
    )
    links = [] if view.drawing_page is None else [Link("Draw yourself", view.drawing_page)]
    links += [Link(f"Training of {name}", path) for name, path in view.training_pages.items()]
    return render_page(
        "demo.html", {"view": view, "chart": chart}, title=view.headline, subtitle=view.subtitle, links=links
    )
