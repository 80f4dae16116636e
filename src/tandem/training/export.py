"""From a training state to a model bundle."""

import dataclasses
from pathlib import Path

from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest, Preprocessing
from tandem.config.run import RunConfig, to_flat
from tandem.training.inputs import Inputs
from tandem.training.state import TrainingState
from tandem.version import __version__


def export_model(folder: Path, *, state: TrainingState, config: RunConfig, inputs: Inputs) -> None:
    """Write the networks that inference needs, averaged where the run keeps an average, as a bundle."""
    averaged = state.average is not None
    source = state.average.networks if state.average is not None else state.objective.networks
    networks = {name: source[name] for name in state.objective.inference_networks}
    data = config.data
    manifest = Manifest(
        tandem_version=__version__,
        method=config.objective.method,
        networks={name: network.spec for name, network in networks.items()},  # type: ignore[misc]
        preprocessing=Preprocessing(
            size=data.crop_size,
            direction=data.direction,
            input_channels=data.input_channels,
            output_channels=data.output_channels,
        ),
        training={
            "steps": state.step,
            "images_seen": state.step * config.training.batch_size,
            "weights": "average" if averaged else "last",
            "num_pairs": len(inputs.train),
            "data_fingerprint": inputs.fingerprint,
            "options": to_flat(config),
        },
        samples_with_noise=state.objective.samples_with_noise,
        statistics=dataclasses.asdict(inputs.report),
    )
    save_bundle(folder, manifest, networks)
