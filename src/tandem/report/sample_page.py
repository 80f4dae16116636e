"""The page that shows what a model made of some inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.links import Link
from tandem.report.nature import Nature
from tandem.report.rendering import render_page
from tandem.report.spread_pictures import SpreadPictures
from tandem.report.text import count

_CONTENTS_FROM = 4  # inputs; fewer are found by scrolling
_SEVERAL = Nature(latent=True)


@dataclass(frozen=True)
class SampleGroup:
    """All that was made of one input; every picture is a path relative to the page.

    Attributes:
        name: Name of the input.
        input_picture: The input as the model saw it.
        ground_truth_picture: The output that belongs to it in the data.
        reference_picture: The picture whose style was taken over.
        samples: (picture, caption) of each output.
        grid: One picture with the input and all outputs.
        strips: (picture, caption) of rows of pictures that change step by step.
        animation: A GIF of such a change.
        spread: How sure the model is.
    """

    name: str
    input_picture: str
    samples: Sequence[tuple[str, str]] = ()
    ground_truth_picture: str | None = None
    reference_picture: str | None = None
    grid: str | None = None
    strips: Sequence[tuple[str, str]] = ()
    animation: str | None = None
    spread: SpreadPictures | None = None


def sample_page(
    title: str,
    groups: Sequence[SampleGroup],
    *,
    provenance: Mapping[str, str],
    nature: Nature = _SEVERAL,
    links: Sequence[Link] = (),
) -> str:
    """Return the HTML of the page.

    Args:
        title: Heading, for example `10 random samples of each input`.
        groups: One per input, in the order in which to show them.
        provenance: What the pictures can be made again from: model, seed, mode, version …
        nature: What the model can do, which the words follow.
        links: What the page leads to.
    """
    total = sum(len(group.samples) for group in groups)
    inputs = f"{count(len(groups))} input{'' if len(groups) == 1 else 's'}"
    outputs = f"{count(total)} {nature.outputs.removesuffix('s') if total == 1 else nature.outputs}"
    content = {
        "groups": groups,
        "outputs": nature.outputs.capitalize(),
        "with_contents": len(groups) >= _CONTENTS_FROM,
        "provenance": list(provenance.items()),
    }
    subtitle = f"{inputs}{f', {outputs}' if total else ''}. A click on a picture shows it at its full size."
    return render_page("sample.html", content, title=title, subtitle=subtitle, links=links)
