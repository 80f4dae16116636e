"""The page that shows what a model made of some inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem.report.page import block, figure, page, section, table
from tandem.report.text import count, escape

_CONTENTS_FROM = 4  # inputs; fewer are found by scrolling


@dataclass(frozen=True)
class SampleGroup:
    """All that was made of one input; every picture is a path relative to the page.

    Attributes:
        name: Name of the input.
        input_picture: The input as the model saw it.
        truth_picture: The output that belongs to it in the data.
        reference_picture: The picture whose style was taken over.
        samples: (picture, caption) of each output.
        grid: One picture with the input and all outputs.
        strips: (picture, caption) of rows of pictures that change step by step.
        animation: A GIF of such a change.
    """

    name: str
    input_picture: str
    samples: Sequence[tuple[str, str]] = ()
    truth_picture: str | None = None
    reference_picture: str | None = None
    grid: str | None = None
    strips: Sequence[tuple[str, str]] = ()
    animation: str | None = None


def sample_page(title: str, groups: Sequence[SampleGroup], *, provenance: Mapping[str, str]) -> str:
    """Return the HTML of the page.

    Args:
        title: Heading, for example `10 random samples of each input`.
        groups: One per input, in the order in which to show them.
        provenance: What the pictures can be made again from: model, seed, mode, version …
    """
    parts = []
    if len(groups) >= _CONTENTS_FROM:
        entries = "".join(
            f'<li><a href="#input-{index}">{escape(group.name)}</a></li>' for index, group in enumerate(groups, 1)
        )
        parts.append(f'<nav aria-label="Inputs"><ul>{entries}</ul></nav>\n')
    parts += [_group(group, f"input-{index}") for index, group in enumerate(groups, 1)]
    if not groups:
        parts.append("<p>There are no inputs to show.</p>\n")
    parts.append(section("How these were made", table(("What", "Value"), provenance.items())))
    total = sum(len(group.samples) for group in groups)
    inputs = f"{count(len(groups))} input{'' if len(groups) == 1 else 's'}"
    outputs = f"{count(total)} sample{'' if total == 1 else 's'}"
    return page(title, "".join(parts), subtitle=f"{inputs}, {outputs}.")


def _group(group: SampleGroup, anchor: str) -> str:
    name = group.name
    given = [figure(group.input_picture, f"Input {name}", "input")]
    if group.truth_picture is not None:
        given.append(figure(group.truth_picture, f"True output of {name}", "truth"))
    if group.reference_picture is not None:
        given.append(figure(group.reference_picture, f"Style reference for {name}", "style from"))
    if group.animation is not None:
        given.append(figure(group.animation, f"Animation through the outputs of {name}", "animation"))
    parts = [block("row", given)]
    if group.samples:
        parts.append("<h3>Samples</h3>\n")
        parts.append(
            block("tiles", (figure(path, f"{name}: {text or 'sample'}", text) for path, text in group.samples))
        )
    if group.strips:
        parts.append("<h3>Step by step</h3>\n")
        parts += [figure(path, f"{name}: {text or 'strip'}", text, kind="strip") for path, text in group.strips]
    if group.grid is not None:
        parts.append(f"<h3>{'All in one picture' if group.samples else 'Samples'}</h3>\n")
        parts.append(figure(group.grid, f"Input {name} and all its samples", kind="strip"))
    return section(name, "".join(parts), anchor=anchor)
