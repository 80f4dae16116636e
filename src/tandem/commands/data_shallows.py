"""``tandem data shallows OUT``: draw scenes of shallow water, 16 bits and six bands."""

import logging
from collections.abc import Sequence

from tandem.commands.data_demo import OutOptions
from tandem.commands.parser import Command
from tandem.data.synthetic.shallows_files import ShallowsOptions, write_shallows
from tandem.report.progress import TaskProgress

log = logging.getLogger(__name__)

COMMAND = Command(
    "data shallows",
    "Draw shallow water from above: depth in metres, and what a sensor of six bands sees of it, as GeoTIFFs.",
    {"": OutOptions, "what is drawn": ShallowsOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Parse the options and draw."""
    own, options = COMMAND.parse(arguments)
    with TaskProgress("drawing", None, "pairs") as progress:
        out = write_shallows(own.out, options, on_progress=progress.callback)
    log.info("dataset: %s", out)
    return 0
