"""Whether images keep up: the loader beside the training step, and files beside the feature network."""

import torch

from benchmarks.acceptance.runs import training_data
from benchmarks.acceptance.settings import Outcome, Settings
from benchmarks.features.report import features_text, measure_features
from benchmarks.loading.report import loading_text, measure_loading
from tandem.bench.train_step import bench_config
from tandem.training.device import configure_backends

WAITING_TARGET, FEATURES_TARGET = 0.02, 0.9


def data(settings: Settings) -> Outcome:
    """Pairs a second by every way of the loader, and for which share of the time a step waits for them."""
    options = {"size": 64, "filters": 4} if settings.smoke else {"size": 256, "filters": 64, "precision": "bf16"}
    rounds, steps = (2, 3) if settings.smoke else (5, 200)
    config = bench_config("bicyclegan", batch_size=2, num_workers=1 if settings.smoke else None, **options)
    device = torch.device(settings.device)
    report = measure_loading(config, training_data(settings), None, rounds=rounds, steps=steps, device=device)
    least = min(share["median"] for share in report["waiting"].values())
    target = f"Target: steps wait less than {100 * WAITING_TARGET:g} % of the time by the best way"
    return _outcome(report, loading_text(report), target, met=least < WAITING_TARGET)


def features(settings: Settings) -> Outcome:
    """FID's features from files to rows against the bare forward of the network."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    images, size, batch_size, rounds = (16, 64, 4, 2) if settings.smoke else (5000, 256, 64, 5)
    report = measure_features(
        images=images,
        size=size,
        image_format="both",
        batch_size=batch_size,
        num_workers=None,
        network="inception",
        weights=None,
        resizer="clean",
        rounds=rounds,
        device=device,
    )
    target = f"Target: the bare forward takes at least {FEATURES_TARGET} of the time"
    return _outcome(report, features_text(report), target, met=report["ratio"]["median"] >= FEATURES_TARGET)


def _outcome(report: dict[str, object], text: str, target: str, *, met: bool) -> Outcome:
    return Outcome(report | {"met": met}, f"```\n{text}```\n\n{target}: {'met' if met else 'missed'}.")
