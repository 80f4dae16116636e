"""Whether images keep up: the loader beside the training step, and files beside the feature network."""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from acceptance.runs import training_data
from acceptance.settings import Outcome, Settings
from tandem.bench.features import load_network, time_features, write_pictures
from tandem.bench.header import spread
from tandem.bench.loading import make_routes, time_routes, time_training
from tandem.bench.train_step import bench_config
from tandem.data.datasets import PairedDataset
from tandem.evaluation.read_ahead import suitable_workers
from tandem.training.device import configure_backends
from tandem.training.feed import budget_of
from tandem.training.inputs import open_inputs

WAITING_TARGET, FEATURES_TARGET = 0.02, 0.9


def data(settings: Settings) -> Outcome:
    """Pairs a second by every way of the loader, and for which share of the time a step waits for them."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    options = {"size": 64, "filters": 4} if settings.smoke else {"size": 256, "filters": 64, "precision": "bf16"}
    rounds, steps = (2, 3) if settings.smoke else (5, 200)
    config = bench_config("bicyclegan", batch_size=2, **options)
    if settings.smoke:
        config = replace(config, training=replace(config.training, num_workers=1))
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        inputs = open_inputs(
            config, training_data(settings), cache=Path(folder), decoded_bytes=budget_of(config), on_check=None
        )
        assert isinstance(inputs.train, PairedDataset)
        routes = make_routes(config, inputs.train, device)
        loaded = time_routes(routes, config, device, rounds=rounds, on_round=_ignore)
        alone, trained = time_training(routes, config, device, rounds=rounds, steps=steps, on_round=_ignore)
    waiting = {name: spread(found.shares) for name, found in trained.items()}
    pairs = {name: 1 / timing.median for name, timing in loaded.items()}
    best = min(share["median"] for share in waiting.values())
    lines = [f"- the step alone: {2 / alone.median:.1f} pairs/s"]
    lines += [
        f"- {name}: {pairs[name]:.1f} pairs/s, steps wait {100 * share['median']:.1f} % of the time"
        for name, share in waiting.items()
    ]
    verdict = "met" if best < WAITING_TARGET else "missed"
    lines += ["", f"Target: less than {100 * WAITING_TARGET:g} % by the best way: {verdict}."]
    result = {"pairs_per_second": pairs, "waiting": waiting, "step_seconds": spread(alone), "met": verdict == "met"}
    return Outcome(result, "\n".join(lines))


def features(settings: Settings) -> Outcome:
    """FID's features from files to rows against the bare forward of the network."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    count, size, batch_size, rounds = (16, 64, 4, 2) if settings.smoke else (5000, 256, 64, 5)
    extractor = load_network("inception", None, device=device, resizer="clean")
    with tempfile.TemporaryDirectory(prefix="tandem-") as folder:
        images = Path(folder) / "images"
        images.mkdir()
        times = time_features(
            extractor,
            write_pictures(images, count, size=size, image_format="both"),
            cache=Path(folder) / "cache",
            rounds=rounds,
            batch_size=batch_size,
            num_workers=suitable_workers(device),
            on_images=_ignore,
        )
    ratio = spread(times.ratios)
    verdict = "met" if ratio["median"] >= FEATURES_TARGET else "missed"
    text = (
        f"{count} images of {size} px: the bare forward takes {ratio['median']:.2f} of the time from files to rows.\n\n"
        f"Target: at least {FEATURES_TARGET}: {verdict}."
    )
    result = {"ratio": ratio, "forward_seconds": spread(times.forward), "pipeline_seconds": spread(times.pipeline)}
    return Outcome(result | {"images": count, "met": verdict == "met"}, text)


def _ignore(done: int, total: int) -> None:
    del done, total
