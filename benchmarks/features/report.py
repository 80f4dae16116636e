"""The measurement of feature extraction as JSON values and as text."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.features.timing import FeatureNetwork, ImageFormat, load_network, time_features, write_pictures
from tandem.bench.header import header_line, make_header, spread, spread_text
from tandem.evaluation.networks.resize import Resizer
from tandem.evaluation.rows.read_ahead import suitable_workers
from tandem.report.progress import TaskProgress
from tandem.training.device import peak_memory_mb


def measure_features(
    *,
    images: int,
    size: int,
    image_format: ImageFormat,
    batch_size: int,
    num_workers: int | None,
    network: FeatureNetwork,
    weights: Path | None,
    resizer: Resizer,
    rounds: int,
    device: torch.device,
) -> dict[str, Any]:
    """Measure features from files to rows against the bare forward, in turn, on pictures made for it.

    Args:
        images: How many; the rounds share them.
        size: Their side in pixels.
        image_format: Of their files.
        batch_size: Images of a forward.
        num_workers: Threads that read ahead; what suits the device if None.
        network: The feature network.
        weights: Its weights; random ones if None.
        resizer: How images come to the network's size.
        rounds: Rounds.
        device: Where it runs.

    Returns:
        JSON values: the header, the settings, seconds of both and their ratio.
    """
    extractor = load_network(network, weights, device=device, resizer=resizer)
    num_workers = suitable_workers(device) if num_workers is None else num_workers
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        pictures = Path(folder) / "images"
        pictures.mkdir()
        cases = write_pictures(pictures, images, size=size, image_format=image_format)
        with TaskProgress("features", None, "images") as progress:
            times = time_features(
                extractor,
                cases,
                cache=Path(folder) / "cache",
                rounds=rounds,
                batch_size=batch_size,
                num_workers=num_workers,
                on_images=progress.callback,
            )
    return {
        "header": make_header(device),
        "network": network,
        "weights": "random" if weights is None else extractor.spec.weights.sha256,
        "resizer": resizer,
        "images": images,
        "size": size,
        "format": image_format,
        "batch_size": batch_size,
        "num_workers": num_workers,
        "rounds": rounds,
        "images_per_round": times.images,
        "forward_seconds": spread(times.forward),
        "pipeline_seconds": spread(times.pipeline),
        "ratio": spread(times.ratios),
        "cpu_ratio": spread(times.cpu_ratios) if device.type == "cpu" else None,
        "peak_memory_mb": peak_memory_mb(device),
    }


def features_text(report: Mapping[str, Any]) -> str:
    """The report for readers."""
    files = "PNG and JPEG" if report["format"] == "both" else report["format"].upper()
    count = report["images_per_round"]
    weights = "random weights" if report["weights"] == "random" else f"the weights {report['weights'][:8]}"
    threads = f"{report['num_workers']} thread{'' if report['num_workers'] == 1 else 's'}"

    def line(name: str, seconds: dict[str, Any]) -> str:
        rate = 1000 * seconds["median"] / count
        return f"{name:<13} {rate:.2f} ms an image ({count / seconds['median']:.0f} images/s); {spread_text(seconds)}"

    def ratio(values: dict[str, Any]) -> str:
        low, high = values["quartiles"]
        return f"{values['median']:.3f} ({low:.3f} to {high:.3f})"

    lines = [
        header_line(report["header"]),
        f"{report['network']} with {weights}, resizer {report['resizer']}, batch {report['batch_size']}; "
        f"{report['size']} px, {files}, {threads} reading ahead; {report['rounds']} rounds of {count} images",
        line("bare forward", report["forward_seconds"]),
        line("files to rows", report["pipeline_seconds"]),
        f"ratio         {ratio(report['ratio'])}; 1 where all but the forward overlaps",
    ]
    if report["cpu_ratio"] is not None:
        lines.append(f"in CPU time   {ratio(report['cpu_ratio'])}; what counts where other programs run beside it")
    if report["peak_memory_mb"] is not None:
        lines.append(f"peak memory   {report['peak_memory_mb']:.0f} MB")
    return "\n".join(lines) + "\n"
