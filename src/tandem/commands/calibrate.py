"""``tandem calibrate MODEL DATA``: measure on held-out pairs how sure a model is, and write it into its bundle."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.commands.parser import Command
from tandem.config.data import DataConfig, LayoutChoice
from tandem.config.options import REQUIRED, Options, option, same
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError, Problem
from tandem.evaluation.calibration.options import CalibrationOptions
from tandem.inference.onnx.load import is_onnx_file
from tandem.inference.runtime import Runtime
from tandem.report.progress import TaskProgress
from tandem.targets import folder_problems

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(Options):
    """Which model is calibrated on what, and where the result goes."""

    model: Path = option(REQUIRED, "folder of a run (runs/NAME) or of its bundle (runs/NAME/model)", positional=True)
    data: Path = option(REQUIRED, "held-out pairs: a dataset, or a folder of pairs", positional=True)
    out: Path | None = option(None, "folder for a copy of the model that is calibrated; by default the model itself is")
    cache: Path | None = option(None, "folder of what was measured before, so that an interrupted call goes on")
    split: str | None = option(None, "split of the dataset; by default val, else test", metavar="{val,test}")
    layout: LayoutChoice = same(DataConfig, "layout")
    device: str = same(TrainingConfig, "device")

    def problems(self) -> Iterator[Problem]:
        """Say why something cannot be written."""
        if self.out is not None:
            yield from folder_problems(self.out, "a model", instead="model.json and the weights are written into it")
        if self.cache is not None:
            yield from folder_problems(self.cache, "what was measured before", option="--cache")


COMMAND = Command(
    "calibrate",
    "Measure on held-out pairs how far the truth is from a model's samples; its intervals hold it from then on.",
    {"": CalibrateOptions, "what is promised": CalibrationOptions, "how the model is run": Runtime},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, measure, and write the calibration."""
    own, options, runtime = COMMAND.parse(arguments)
    from tandem.checkpoint.bundle import save_calibration  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.calibration.run import calibrate, calibration_subject  # noqa: PLC0415
    from tandem.inference.translator import load_with  # noqa: PLC0415

    if is_onnx_file(own.model):
        raise ConfigError(
            f"{own.model} is an ONNX file, into which no calibration is written: calibrate the run or the bundle, and "
            "export it again. Files with --weights fp32 carry it."
        )
    translator = load_with(own.model, runtime, device=own.device)
    log.info("%s", translator.manifest.preprocessing.describe(options.fit))
    subject = calibration_subject(translator, own.model, own.data, options, split=own.split, layout=own.layout)
    with TaskProgress("calibrating", len(subject.cases), "pairs") as progress:
        found = calibrate(translator, subject, options, cache=own.cache, on_progress=progress.callback)
    folder = save_calibration(own.model, found.calibration, own.out)
    for line in found.lines():
        log.info("%s", line)
    log.info("calibrated: %s", folder)
    return 0
