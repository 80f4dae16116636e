"""From images to the features that Fréchet distance, KID, precision and coverage compare.

A `FeatureExtractor` is a network with everything that its numbers depend on: weights, resizer, value range, precision.
The preprocessings of FID, all with Inception and named by their resizer:

- ``clean``: clean-fid's bicubic with antialiasing, then (x - 128) / 128. The default: shrinking without antialiasing
  changes distances by more than methods differ (2104.11222).
- ``torch-fidelity``: TensorFlow 1.x bilinear, then (x - 128) / 128; the original code, torch-fidelity, torchmetrics.
- ``pytorch-fid``: bilinear with half-pixel centres, then x / 127.5 - 1.

Distances through different resizers are different metrics, so a report names them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from tandem.config.validation import ValueRange
from tandem.errors import DataError, WeightsError
from tandem.evaluation.images import check_batch, to_bytes_scale
from tandem.evaluation.networks import inception
from tandem.evaluation.networks.external import ExternalKind, load_external
from tandem.evaluation.networks.resize import resize_images
from tandem.evaluation.networks.weights import WeightsSource, find_weights
from tandem.evaluation.options import Resizer
from tandem.networks.backbones import mobilenet
from tandem.networks.backbones.tensor_files import read_arrays, read_state_dict, sha256_of

FeaturePrecision = Literal["float32", "float64"]

_SHIFT_AND_SCALE: dict[ValueRange, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "signed": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "bytes": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


@dataclass(frozen=True)
class InputSpec:
    """What a network takes: images of a size, as ``(x - shift) / scale`` with x in 0..255.

    Attributes:
        size: Height and width; `None` for a network that takes any size.
        shift: Subtracted, for all channels or for red, green and blue.
        scale: Divided by, likewise.
    """

    size: tuple[int, int] | None
    shift: tuple[float, ...] = (127.5,)
    scale: tuple[float, ...] = (127.5,)

    def __post_init__(self) -> None:
        for name, values in (("shift", self.shift), ("scale", self.scale)):
            if len(values) not in {1, 3}:
                raise DataError(f"{name} has {len(values)} numbers; expected 1, or 3 for red, green and blue.")
        if (self.size is not None and min(self.size) < 1) or 0 in self.scale:
            raise DataError(f"the size is {self.size} and the scale {self.scale}; expected sides from 1 and no 0.")

    @classmethod
    def of_range(cls, size: int | None, values: ValueRange) -> Self:
        """What a network takes whose input is a square of `size` px (None: any size) with `values`."""
        shift, scale = _SHIFT_AND_SCALE[values]
        return cls(None if size is None else (size, size), shift, scale)

    def apply(self, images: Tensor, *, resizer: Resizer, dtype: torch.dtype) -> Tensor:
        """Resize and scale a batch ``(N, 3, H, W)``, uint8 or float in [-1, 1]; channels last in memory.

        Raises:
            DataError: The images have another form.
        """
        check_batch(images, channels=3)
        x = to_bytes_scale(images, dtype)
        if self.size is not None:
            x = resize_images(x, self.size, resizer=resizer)
        shift, scale = (
            torch.tensor(values, dtype=dtype, device=x.device).view(1, -1, 1, 1) for values in (self.shift, self.scale)
        )
        return x.sub_(shift).div_(scale).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class FeatureSpec:
    """What features depend on, for a report.

    Attributes:
        network: ``inception-fid``, ``mobilenet-v1``, ``torchscript`` or ``onnx``.
        tap: Which features of the network.
        num_features: Their number; 0 for networks from outside that have not run yet.
        resizer: See `tandem.evaluation.networks.resize`.
        input: Size and value range.
        precision: What the network computes in.
        weights: The file.
    """

    network: str
    tap: str
    num_features: int
    resizer: Resizer
    input: InputSpec
    precision: FeaturePrecision
    weights: WeightsSource


class FeatureExtractor:
    """Images in, features out.

    Attributes:
        spec: What the features depend on.
        device: Where the network runs.
    """

    def __init__(self, spec: FeatureSpec, network: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self._network = network
        self._dtype = torch.float64 if spec.precision == "float64" else torch.float32

    def __call__(self, images: Tensor) -> Tensor:
        """Features of a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB, uint8, or float in [-1, 1]; any device, any size.

        Returns:
            ``(N, num_features)`` on `device`, in the precision of the spec.

        Raises:
            DataError: The images or the features have another form.
        """
        with torch.inference_mode(), full_float32():
            features = self.forward(self.preprocess(images))
        if features.ndim != 2 or len(features) != len(images):
            raise DataError(
                f"the feature network gave the shape {tuple(features.shape)} for {len(images)} images; expected "
                "(N, D) or (N, D, H, W)."
            )
        return features

    def start(self, images: Tensor) -> Callable[[], np.ndarray]:
        """Begin with a batch and return a function that waits for its features, ``(N, num_features)``.

        On a GPU, work that is begun in between lines up behind it without a gap.

        Args:
            images: As for a call, on the CPU.

        Raises:
            DataError: The images or the features have another form.
        """
        if self.device.type != "cuda":
            features = self(images)
            return lambda: features.cpu().numpy()
        features = self(images.pin_memory())
        there = torch.empty(features.shape, dtype=features.dtype, pin_memory=True).copy_(features, non_blocking=True)
        arrival = torch.cuda.current_stream(self.device).record_event()

        def wait() -> np.ndarray:
            arrival.synchronize()
            return there.numpy()

        return wait

    def preprocess(self, images: Tensor) -> Tensor:
        """Resize and scale a batch to what the network takes; channels last in memory."""
        images = images.to(self.device, non_blocking=True).contiguous()
        return self.spec.input.apply(images, resizer=self.spec.resizer, dtype=self._dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The bare network, on what `preprocess` gives."""
        features = self._network(x)
        return features.mean((2, 3)) if features.ndim == 4 else features


@contextmanager
def full_float32() -> Iterator[None]:
    """Switch TF32 off: with ten bits of mantissa distances move in their third digit."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def inception_extractor(
    *,
    device: torch.device,
    weights: Path | None = None,
    resizer: Resizer = "clean",
    tap: inception.Tap = "2048",
    precision: FeaturePrecision = "float32",
    may_download: bool = True,
    cache: Path | None = None,
) -> FeatureExtractor:
    """The FID network.

    Args:
        device: Where to run it.
        weights: A file or folder instead of the cache; see `find_weights`.
        resizer: Which preprocessing; see the module.
        tap: Which features; 2048 for FID and KID.
        precision: float64 is for proofs.
        may_download: Whether the weights may be fetched.
        cache: See `find_weights`.

    Raises:
        WeightsError: The weights are missing or not those of this network.
    """
    source = find_weights("inception", path=weights, may_download=may_download, cache=cache)
    network = inception.load_inception(read_state_dict(source.path), name=str(source.path))
    network = inception.for_inference(network, device, torch.float64 if precision == "float64" else torch.float32)
    return FeatureExtractor(
        inception_spec(source, resizer=resizer, tap=tap, precision=precision), lambda x: network(x, (tap,))[tap], device
    )


def inception_spec(
    source: WeightsSource, *, resizer: Resizer, tap: inception.Tap = "2048", precision: FeaturePrecision = "float32"
) -> FeatureSpec:
    """What features of the FID network with weights from `source` depend on."""
    value = 127.5 if resizer == "pytorch-fid" else 128.0
    size = (inception.INPUT_SIZE, inception.INPUT_SIZE)
    return FeatureSpec(
        network="inception-fid",
        tap=tap,
        num_features=inception.TAP_SIZES[tap],
        resizer=resizer,
        input=InputSpec(size, (value,), (value,)),
        precision=precision,
        weights=source,
    )


def mobilenet_extractor(path: Path, *, device: torch.device, resizer: Resizer = "clean") -> FeatureExtractor:
    """MobileNet v1 from a NumPy file; see `tandem.networks.backbones.mobilenet`.

    Raises:
        WeightsError: The file cannot be read or holds something else.
    """
    network = mobilenet.mobilenet_from_arrays(read_arrays(path), name=str(path)).eval().requires_grad_(False).to(device)
    spec = FeatureSpec(
        network="mobilenet-v1",
        tap="pool",
        num_features=network.out_features,
        resizer=resizer,
        input=InputSpec((mobilenet.INPUT_SIZE, mobilenet.INPUT_SIZE)),
        precision="float32",
        weights=WeightsSource("mobilenet-v1", path, sha256_of(path), published=False),
    )
    return FeatureExtractor(spec, network, device)


def external_extractor(
    path: Path,
    input_spec: InputSpec,
    *,
    device: torch.device,
    resizer: Resizer = "clean",
    trust_torchscript: bool = False,
) -> FeatureExtractor:
    """Any network from a TorchScript or ONNX file: images ``(N, 3, H, W)`` to ``(N, D)`` or ``(N, D, H, W)``.

    Args:
        path: ``.onnx``, or TorchScript under any other name.
        input_spec: What it takes.
        device: Where to run it; ONNX runs on the CPU.
        resizer: How images get the size.
        trust_torchscript: See `tandem.evaluation.networks.external`.

    Raises:
        WeightsError: The file cannot be read or used.
        MissingExtraError: ONNX needs the extra ``onnx``.
    """
    network = load_external(path, device=device, trust_torchscript=trust_torchscript)
    kind: ExternalKind = network.kind
    spec = FeatureSpec(
        network=kind,
        tap="output",
        num_features=0,
        resizer=resizer,
        input=input_spec,
        precision="float32",
        weights=WeightsSource(kind, path, network.sha256, published=False),
    )
    return FeatureExtractor(spec, network, device)


def check_comparable(specs: Sequence[FeatureSpec]) -> None:
    """Refuse to compare features that were made in different ways.

    Raises:
        WeightsError: Two of them differ in network, tap, resizer, value range, precision or weights.
    """
    keys = {(s.network, s.tap, s.resizer, s.input, s.precision, s.weights.sha256) for s in specs}
    if len(keys) > 1:
        raise WeightsError(
            "these features were made in different ways, so that their distance means nothing: "
            + "; ".join(f"{key[0]} {key[1]}, {key[2]}, weights {key[5][:8]}" for key in sorted(keys, key=str))
        )
