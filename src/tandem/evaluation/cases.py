"""What is measured, as images that are read or generated one at a time: files, outputs of a dataset, samples.

Every case has a key, a hash of the content of its files and of all that is done with them; rows in the cache are found
by it. Images are uint8, as they would be saved: published numbers are those of saved images. Those of files with more
levels are also there exactly, as floats in [-1, 1] of values that files hold, for metrics that compare pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from tandem.checkpoint.manifest import Manifest, Preprocessing
from tandem.config.data import Direction
from tandem.data.check_report import SizeRange
from tandem.data.fit import Fit
from tandem.data.image_file import ImageFile
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.pixels import half_range, resize
from tandem.data.splits import Pair, SingleImage
from tandem.errors import DataError
from tandem.evaluation.rows.cache import hash_of
from tandem.inference.jobs import Job
from tandem.inference.translator import Translator
from tandem.rng import derive_seed

Size = tuple[int, int]
"""Height and width."""


class FileHashes:
    """SHA-256 of the content of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, file: ImageFile) -> str:
        """The hash, as hexadecimal digits.

        Raises:
            DataError: The file cannot be read.
        """
        name = str(file)
        if name not in self._known:
            self._known[name] = file.sha256()
        return self._known[name]


class Loaded:
    """The images of a case while it is measured; each is read or generated when it is first asked for.

    Args:
        case: The case.
        generate: Gives its first samples, ``(M, H, W, C)``, uint8, or of files with more levels float32 in [-1, 1].
        read: Gives input and ground truth likewise, where it has them.
        read_valid: Gives the pixels that count, ``(H, W)``, bool; None where all do.
        fill: What the others become.
        is_sample_read: Whether `generate` reads files; it runs a model otherwise.
        levels: Those of the input and of the other images: pictures of label maps show their colours.
    """

    def __init__(
        self,
        case: "Case",
        generate: Callable[[int], np.ndarray],
        *,
        read: Callable[[], tuple[np.ndarray | None, np.ndarray | None]],
        is_sample_read: bool = True,
        levels: tuple[Levels, Levels] = (BY_TYPE, BY_TYPE),
        read_valid: Callable[[], np.ndarray | None] = lambda: None,
        fill: float | None = None,
    ) -> None:
        self._levels = levels
        self.case = case
        self._is_sample_read = is_sample_read
        self._fill = -1.0 if fill is None else fill
        self._generate, self._read, self._read_valid = generate, read, read_valid
        self._samples: np.ndarray | None = None
        self._pictures: np.ndarray | None = None
        self._given: tuple[np.ndarray | None, np.ndarray | None] | None = None

    def read_ahead(self, count: int) -> None:
        """Read the files that the first samples are, or are generated from; may run in another thread.

        Raises:
            DataError: A file cannot be read.
        """
        if self._is_sample_read:
            self.samples(count)
        else:
            self._both()

    def samples(self, count: int) -> np.ndarray:
        """The first samples, ``(count, H, W, C)``, uint8."""
        exact = self.exact_samples(count)
        if self._pictures is None or len(self._pictures) < count:
            self._pictures = _picture(exact, self._levels[1])
        return self._pictures[:count]

    def exact_samples(self, count: int) -> np.ndarray:
        """The first samples with all their levels, ``(count, H, W, C)``, uint8, or float32 in [-1, 1]."""
        if self._samples is None or len(self._samples) < count:
            self._samples, self._pictures = self._hidden(self._generate(count)), None
        return self._samples[:count]

    @property
    def input(self) -> np.ndarray:
        """What the samples were made of, ``(H, W, C)``, uint8."""
        return _picture(self.exact_input, self._levels[0])

    @property
    def exact_input(self) -> np.ndarray:
        """The same with all its levels, ``(H, W, C)``, uint8, or float32 in [-1, 1]."""
        image = self._both()[0]
        assert image is not None
        return image

    @property
    def ground_truth(self) -> np.ndarray:
        """The output that belongs to the input, ``(H, W, C)``, uint8."""
        return _picture(self.exact_ground_truth, self._levels[1])

    @property
    def exact_ground_truth(self) -> np.ndarray:
        """The same with all its levels, ``(H, W, C)``, uint8, or float32 in [-1, 1]."""
        image = self._both()[1]
        assert image is not None
        return image

    @cached_property
    def valid(self) -> np.ndarray | None:
        """The pixels of samples and ground truth that count, ``(H, W)``, bool; None where all do.

        The others are one constant in samples and ground truth alike.
        """
        valid = self._read_valid()
        return None if valid is None or valid.all() else valid

    def _both(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self._given is None:
            given, truth = self._read()
            self._given = given, None if truth is None else self._hidden(truth)
        return self._given

    def _hidden(self, images: np.ndarray) -> np.ndarray:
        """``(..., H, W, C)``, uint8, or float32 in [-1, 1], with the constant in the place of masked pixels."""
        if self.valid is None:
            return images
        hidden = self._fill if images.dtype != np.uint8 else round((self._fill + 1) * half_range(np.uint8))
        return np.where(self.valid[:, :, None], images, np.array(hidden, images.dtype))


def _picture(values: np.ndarray, levels: Levels) -> np.ndarray:
    """``(..., H, W, C)`` as uint8, of floats in [-1, 1] rounded; of planes of classes their colours."""
    return values if values.dtype == np.uint8 else levels.pictures(np.moveaxis(values, -1, -3))


class Case(Protocol):
    """A real image, or an input with its samples."""

    @property
    def name(self) -> str:
        """Unique among the cases."""
        ...

    def key(self, num_samples: int) -> str:
        """Identifies the content of everything that is measured with this many samples."""
        ...

    def load(self) -> Loaded:
        """Its images, not read yet."""
        ...


class GeneratedCase(Case, Protocol):
    """A generated image, or an input whose samples a model generates."""

    def files(self) -> list[ImageFile]:
        """The files that the samples are, or are generated from."""
        ...

    def sizes(self) -> tuple[Size, Size | None]:
        """The size of its samples, without generating them, and that of its ground truth; None where there is none.

        Raises:
            DataError: A file cannot be read.
        """
        ...


@dataclass(frozen=True)
class FileCase:
    """An image file, or half of one: its one sample is itself. With a ground truth, another file, it can be compared.

    Attributes:
        name: Unique among the cases.
        image: The image.
        hashes: Of the files.
        channels: As what it is read.
        ground_truth: What it should look like.
        levels: Which values of the files are black and white.
    """

    name: str
    image: SingleImage
    hashes: FileHashes = field(repr=False)
    channels: int = 3
    ground_truth: SingleImage | None = None
    levels: Levels = BY_TYPE

    def key(self, num_samples: int) -> str:
        """See `Case`."""
        del num_samples  # always one
        singles = [self.image] if self.ground_truth is None else [self.image, self.ground_truth]
        masks = [self.hashes(one.mask) for one in singles if one.mask is not None]
        form = str(self.channels) if self.levels.is_by_type else f"{self.channels} {self.levels}"
        return hash_of(
            "file with all levels", form, *(f"{one.half}:{self.hashes(one.file)}" for one in singles), *masks
        )

    def load(self) -> Loaded:
        """See `Case`."""
        return Loaded(self, self._generate, read=self._read, levels=(BY_TYPE, self.levels))

    def files(self) -> list[ImageFile]:
        """See `GeneratedCase`."""
        return list(self.image.all_files)

    def sizes(self) -> tuple[Size, Size | None]:
        """See `GeneratedCase`."""
        return self.image.size(), None if self.ground_truth is None else self.ground_truth.size()

    def _generate(self, count: int) -> np.ndarray:
        return np.repeat(self._exact(self.image)[None], count, axis=0)

    def _read(self) -> tuple[None, np.ndarray | None]:
        return None, None if self.ground_truth is None else self._exact(self.ground_truth)

    def _exact(self, image: SingleImage) -> np.ndarray:
        values = image.read_values(self.channels, self.levels)
        if self.levels.is_by_type and values.dtype == np.uint8:
            return values
        return np.moveaxis(self.levels.to_floats(values), 0, 2)


@dataclass(frozen=True)
class TrainingImageCase(FileCase):
    """An image of the training split, to warn of copies; one that cannot be read is an image without pixels."""

    def key(self, num_samples: int) -> str:
        """See `Case`."""
        try:
            return super().key(num_samples)
        except DataError:
            return hash_of("unreadable", self.name)

    def _generate(self, count: int) -> np.ndarray:
        try:
            return super()._generate(count)
        except DataError:
            return np.zeros((count, 0, 0, self.channels), np.uint8)


@dataclass(frozen=True)
class RealPair:
    """Two real images, as two samples, whose distance is the scale of diversity.

    Attributes:
        first: One image.
        second: Another one.
        size: Height and width to which both are brought.
    """

    first: FileCase
    second: FileCase
    size: tuple[int, int]

    @property
    def name(self) -> str:
        """See `Case`."""
        return f"{self.first.name}, {self.second.name}"

    def key(self, num_samples: int) -> str:
        """See `Case`."""
        return hash_of("pair", str(self.size), self.first.key(num_samples), self.second.key(num_samples))

    def load(self) -> Loaded:
        """See `Case`."""
        return Loaded(self, self._generate, read=lambda: (None, None))

    def _generate(self, count: int) -> np.ndarray:
        images = [one.load().samples(1)[0] for one in (self.first, self.second)]
        return np.stack([one if one.shape[:2] == self.size else resize(one, *self.size) for one in images])[:count]


@dataclass(frozen=True)
class SampledModel:
    """A model and how it is sampled.

    Attributes:
        translator: The model.
        direction: The direction of the translation.
        seed: Of the evaluation; every input gets latents of its own, so that all samples are independent.
        fit: How inputs get a size that the network takes.
    """

    translator: Translator
    direction: Direction
    seed: int = 0
    fit: Fit = "auto"

    @property
    def rule(self) -> Preprocessing:
        """What its training did to the sizes of images."""
        return self.translator.manifest.preprocessing

    @property
    def input_sizes(self) -> SizeRange:
        """The sizes of the files that the inputs of its training came from."""
        return self.translator.input_sizes(self.direction)

    @property
    def fingerprint(self) -> str:
        """Changes with the weights and everything else that the samples depend on beside the input."""
        translator = self.translator
        run = f"{translator.runtime} on {translator.device}"
        return hash_of(_stable_text(translator.manifest), self.direction, self.rule.key(self.fit), run)

    def seed_of(self, position: int) -> int:
        """The seed of the samples of an input."""
        return derive_seed(self.seed, "evaluate", position=position)


@dataclass(frozen=True)
class ModelCase:
    """An input of a model, with its samples.

    Attributes:
        name: Unique among the cases.
        job: The input, and its ground truth if there is one.
        position: Its number in the split, which decides its latents.
        model: The model.
        fingerprint: That of the model.
        hashes: Of the files.
    """

    name: str
    job: Job
    position: int
    model: SampledModel = field(repr=False)
    fingerprint: str = field(repr=False)
    hashes: FileHashes = field(repr=False)

    @property
    def seed(self) -> int:
        """Of its samples."""
        return self.model.seed_of(self.position)

    def key(self, num_samples: int) -> str:
        """See `Case`."""
        files = [self.hashes(file) for file in self.files()]
        return hash_of(
            "model with all levels", self.fingerprint, str(self.seed), str(num_samples), self.job.kind, *files
        )

    def load(self) -> Loaded:
        """See `Case`."""
        translator, direction = self.model.translator, self.model.direction
        levels = translator.levels(direction)
        eight_bits = all(one.is_eight_bit for one in levels)
        loaded: Loaded

        def generate(count: int) -> np.ndarray:
            made = translator(
                loaded.exact_input,
                count if translator.is_stochastic else None,
                seed=self.seed,
                fit=self.model.fit,
                direction=direction,
                output="values",
                value_range=None if eight_bits else (-1, 1),
            )
            return made if eight_bits else np.stack([np.moveaxis(levels[1].to_floats(one), 0, 2) for one in made])

        read = self.job.read if eight_bits else self.job.read_floats
        loaded = Loaded(
            self,
            generate,
            read=lambda: read(translator),
            is_sample_read=False,
            levels=levels,
            read_valid=lambda: self.job.valid(translator),
            fill=levels[1].fill,
        )
        return loaded

    def reconstruct(self, loaded: Loaded) -> np.ndarray:
        """The input in the style that the encoder reads from its ground truth, ``(1, H, W, C)``, uint8.

        Args:
            loaded: The case, of a model with an encoder, with a ground truth.
        """
        model = self.model
        mu, _ = model.translator.encode(loaded.ground_truth, input_image=loaded.input, fit=model.fit)
        return model.translator(loaded.input, z=mu, fit=model.fit, direction=model.direction, output="array")

    def files(self) -> list[ImageFile]:
        """See `GeneratedCase`; the file of the ground truth too."""
        return list(self.job.item.all_files)

    def sizes(self) -> tuple[Size, Size | None]:
        """See `GeneratedCase`: outputs have the size of their input, and so have the images of a pair.

        Raises:
            DataError: A file cannot be read, or the images of a pair differ in size.
        """
        size = self.job.item.size()
        return size, size if isinstance(self.job.item, Pair) else None


def _stable_text(manifest: Manifest) -> str:
    assert manifest.weights is not None
    kept = (manifest.preprocessing, manifest.samples_with_noise, dict(manifest.networks))
    return f"{manifest.weights.sha256} {kept}"
