"""How a run is measured on held-out data, and which checkpoint is kept as the best one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tandem.config.options import changed, flag, option

ValueRange = Literal["signed", "unit", "bytes", "imagenet"]
"""What a network takes: [-1, 1], [0, 1], [0, 255], or normalised as torchvision's classifiers want it."""

AUTO = "auto"
"""Leaves a choice to the method and to what can be measured."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Options of validation. None of them changes what the steps compute."""

    validate_every: int = option(0, "steps between validations on the split val, else test; 0 is off", at_least=0)
    validate_metrics: str = option(
        AUTO, "metrics of 'tandem evaluate', separated by commas; auto takes the cheap ones that there are", joins=","
    )
    validate_images: int = option(32, "inputs, spread evenly over the split; 0 takes all", at_least=0)
    validate_samples: int = option(10, "samples of each input, of models with noise", at_least=1)
    validate_features: str | None = option(
        None, "feature network of the Fréchet distance: MobileNet in .npz, .onnx, or TorchScript"
    )
    validate_features_size: int | None = option(None, "side of its input; any size unless given", at_least=1)
    validate_features_range: ValueRange = option("signed", "the values it takes")
    validate_trust_torchscript: bool = option(False, "run a TorchScript file, which is a program, as your own")
    patience: int = option(
        0, "validations without a better number by --keep-best after which a run ends; 0 is off", at_least=0
    )
    keep_best: str = option(AUTO, "number of a validation by which the best checkpoint is kept; auto goes by a list")

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if not self.validate_every:
            given = [one.flag for one in changed(self)]
            if given:
                yield (
                    f"{', '.join(given)}: no effect without validation: give --validate-every STEPS, e.g. "
                    "--validate-every 1000"
                )
        if self.validate_every:
            yield from idle_feature_options(
                self.validate_features,
                {
                    "validate_features_size": self.validate_features_size is not None,
                    "validate_features_range": self.validate_features_range != "signed",
                    "validate_trust_torchscript": self.validate_trust_torchscript,
                },
                "validate_features",
            )


def idle_feature_options(features: str | Path | None, given: Mapping[str, bool], name: str) -> Iterator[str]:
    """Say which options of a feature network have no effect.

    Args:
        features: Its file.
        given: The other options by name, and whether they were given.
        name: Of the option that names the file.
    """
    idle = ", ".join(flag(other) for other, is_given in given.items() if is_given)
    if not idle:
        return
    if features is None:
        yield f"{idle}: no effect without {flag(name)} FILE"
    elif Path(features).suffix.lower() == ".npz":
        yield f"{idle}: no effect on a MobileNet in .npz ({flag(name)} {features}), which says itself what it takes"
