"""Features of many image files, from the disk to rows, against the bare forward of the feature network.

What surrounds the forward is all that `tandem evaluate` does: hashing, decoding, resizing, scaling, keeping the rows
and writing them into a cache. In each round both go through the same number of images, one after the other.
"""

import dataclasses
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import nn

from tandem.bench.timing import Timing, time_in_turn
from tandem.evaluation.cases import FileCase, FileHashes
from tandem.evaluation.kinds.features import FeatureRows
from tandem.evaluation.networks.features import (
    FeatureExtractor,
    FeatureSpec,
    InputSpec,
    full_float32,
    inception_extractor,
    inception_spec,
    mobilenet_extractor,
)
from tandem.evaluation.networks.inception import InceptionFID, for_inference
from tandem.evaluation.networks.resize import Resizer
from tandem.evaluation.networks.weights import WeightsSource
from tandem.evaluation.rows.gather import gather
from tandem.evaluation.subject import file_cases, folder_images
from tandem.networks.backbones.mobilenet import INPUT_SIZE, MobileNet
from tandem.rng import numpy_generator

FeatureNetwork = Literal["inception", "mobilenet"]
FEATURE_NETWORKS: tuple[FeatureNetwork, ...] = get_args(FeatureNetwork)

ImageFormat = Literal["png", "jpeg", "both"]

_MOBILENET_WIDTHS = (32, 64, *[128] * 2, *[256] * 2, *[512] * 6, *[1024] * 2)
_PICTURES = 32
_WARMUP_BATCHES = 2


@dataclass(frozen=True)
class FeatureTimes:
    """Seconds of each round.

    Attributes:
        images: How many each round went through.
        forward: The bare network, on batches that lie on its device.
        pipeline: From files to rows.
        forward_cpu: The CPU time of all threads of this process meanwhile.
        pipeline_cpu: Likewise.
    """

    images: int
    forward: Timing
    pipeline: Timing
    forward_cpu: Timing
    pipeline_cpu: Timing

    @property
    def ratios(self) -> Timing:
        """What the bare forward takes, over what the pipeline takes, round by round; 1 where all else overlaps."""
        return _ratios(self.forward, self.pipeline)

    @property
    def cpu_ratios(self) -> Timing:
        """Likewise in CPU time, which suffers less from what else runs on the machine."""
        return _ratios(self.forward_cpu, self.pipeline_cpu)


def load_network(
    name: FeatureNetwork, weights: Path | None, *, device: torch.device, resizer: Resizer
) -> FeatureExtractor:
    """A feature network with its weights, or with random ones, which are as fast.

    Raises:
        WeightsError: The weights cannot be read.
    """
    if weights is not None:
        if name == "mobilenet":
            return mobilenet_extractor(weights, device=device, resizer=resizer)
        return inception_extractor(device=device, weights=weights, resizer=resizer, may_download=False)
    source = WeightsSource(name, Path("random"), "", published=False)
    if name == "mobilenet":
        mobilenet = MobileNet(_MOBILENET_WIDTHS)
        _fill(mobilenet)
        side = (INPUT_SIZE, INPUT_SIZE)
        spec = FeatureSpec("mobilenet-v1", "pool", 1024, resizer, InputSpec(side), "float32", source)
        return FeatureExtractor(spec, mobilenet.eval().requires_grad_(False).to(device), device)
    inception = InceptionFID()
    _fill(inception)
    inception = for_inference(inception, device, torch.float32)
    return FeatureExtractor(inception_spec(source, resizer=resizer), lambda x: inception(x, ("2048",))["2048"], device)


def write_pictures(folder: Path, count: int, *, size: int, image_format: ImageFormat) -> list[FileCase]:
    """Write `count` files of smooth colours with some noise, no two of which have the same content.

    They are a few pictures with other bytes behind their end, which decoders do not look at: drawing and compressing
    thousands would take longer than reading them.
    """
    kinds = ("PNG", "JPEG") if image_format == "both" else (image_format.upper(),)
    pictures = [_picture(index, size, kinds[index % len(kinds)]) for index in range(min(count, _PICTURES))]
    for index in range(count):
        data, kind = pictures[index % len(pictures)]
        (folder / f"{index}.{kind.lower()}").write_bytes(data + index.to_bytes(4))
    return file_cases(folder_images(folder), FileHashes())


def time_features(
    extractor: FeatureExtractor,
    cases: Sequence[FileCase],
    *,
    cache: Path,
    rounds: int,
    batch_size: int,
    num_workers: int,
    on_images: Callable[[int, int], None],
) -> FeatureTimes:
    """Time the bare forward and the pipeline in turn.

    Args:
        extractor: The network.
        cases: All images; each goes through the pipeline once.
        cache: An empty folder.
        rounds: How many rounds share the images.
        batch_size: Images of a forward.
        num_workers: Threads that read ahead.
        on_images: Called with images done and in all.
    """
    per_round = len(cases) // rounds
    total, done = 2 * per_round * rounds, 0
    one_batch = torch.from_numpy(np.stack([case.load().samples(1)[0] for case in cases[:batch_size]])).movedim(-1, 1)
    with torch.inference_mode():
        ready = extractor.preprocess(one_batch)

    def forward(count: int) -> None:
        nonlocal done
        with torch.inference_mode(), full_float32():
            for start in range(0, count, batch_size):
                extractor.forward(ready[: count - start])
                done += min(batch_size, count - start)
                on_images(min(done, total), total)

    def pipeline(part: Sequence[FileCase], folder: Path | None) -> None:
        nonlocal done
        before = done

        def on_progress(images: int, _: int) -> None:
            nonlocal done
            done = before + images
            on_images(min(done, total), total)

        gather(
            part,
            [FeatureRows(extractor)],
            cache=folder,
            batch_size=batch_size,
            num_workers=num_workers,
            on_progress=on_progress,
        )

    warmup = min(len(cases), _WARMUP_BATCHES * batch_size)
    forward(warmup)
    pipeline([dataclasses.replace(case, hashes=FileHashes()) for case in cases[:warmup]], None)
    done = 0  # only now does it count
    parts = iter([cases[start : start + per_round] for start in range(0, per_round * rounds, per_round)])
    cpu: dict[str, list[float]] = {"forward": [], "pipeline": []}

    def run(name: str, work: Callable[[], None]) -> None:
        begun = time.process_time()
        work()
        cpu[name].append(time.process_time() - begun)

    timed = time_in_turn(
        {
            "forward": lambda: run("forward", lambda: forward(per_round)),
            "pipeline": lambda: run("pipeline", lambda: pipeline(next(parts), cache)),
        },
        rounds=rounds,
        warmup=0,
        device=extractor.device,
    )
    spent = {name: Timing(tuple(seconds)) for name, seconds in cpu.items()}
    return FeatureTimes(per_round, timed["forward"], timed["pipeline"], spent["forward"], spent["pipeline"])


def _ratios(forward: Timing, pipeline: Timing) -> Timing:
    pairs = zip(forward.seconds, pipeline.seconds, strict=True)
    return Timing(tuple(bare / whole for bare, whole in pairs))


def _picture(index: int, size: int, kind: str) -> tuple[bytes, str]:
    draw = numpy_generator(0, "bench/picture", position=index)
    coarse = Image.fromarray(draw.integers(0, 256, (max(size // 8, 1), max(size // 8, 1), 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(smooth + draw.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(noisy).save(data, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return data.getvalue(), kind


def _fill(network: nn.Module) -> None:
    """Random weights that keep the size of activations, so that no forward is slowed down by denormal numbers."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
