"""The section of a comparison that shows what several models made of the same inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LEGEND_HEADER = ("Model", "Method", "Steps", "Training size", "Latent", "Directions", "What is done to inputs")


@dataclass(frozen=True)
class ModelFacts:
    """What the legend says of a model.

    Attributes:
        name: What its pictures are labelled with.
        method: How it was trained.
        steps: For how many steps, in words.
        size: Its training size, in words.
        latent: The length of its latent, in words.
        directions: Those it translates in, in words.
        fit: What is done to inputs before it sees them, in words.
    """

    name: str
    method: str
    steps: str
    size: str
    latent: str
    directions: str
    fit: str

    @property
    def row(self) -> tuple[str, ...]:
        """The cells below `LEGEND_HEADER`."""
        return (self.name, self.method, self.steps, self.size, self.latent, self.directions, self.fit)


@dataclass(frozen=True)
class ComparedInput:
    """What all models made of one input; every picture is a path relative to the page.

    Attributes:
        name: Of the input.
        input_picture: The input; None if no model could read it.
        ground_truth_picture: The output that belongs to it in the data.
        outputs: By model, (picture, caption) of each output; those that do not translate it are missing.
    """

    name: str
    input_picture: str | None
    ground_truth_picture: str | None
    outputs: Mapping[str, Sequence[tuple[str, str]]]

    @property
    def pictures(self) -> list[str]:
        """All of them."""
        own = [path for path in (self.input_picture, self.ground_truth_picture) if path is not None]
        return own + [path for outputs in self.outputs.values() for path, _ in outputs]


@dataclass(frozen=True)
class SideBySide:
    """All that the section shows.

    Attributes:
        models: In the order of the pictures.
        groups: The inputs by heading: one for each direction, where there are several.
        problems: A sentence for each model that could not translate everything.
        sizes: (width, height) of pictures by their paths: the page keeps their places until they are loaded.
    """

    models: Sequence[ModelFacts]
    groups: Mapping[str, Sequence[ComparedInput]]
    problems: Sequence[str] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def num_inputs(self) -> int:
        """How many inputs there are."""
        return sum(map(len, self.groups.values()))
