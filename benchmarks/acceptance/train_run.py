"""Train or continue a run in this process: ``python -m benchmarks.acceptance.train_run OPTIONS DATA OUT``.

The options are JSON.
"""

import json
import logging
import sys

from tandem.config.run import from_flat
from tandem.errors import TandemError
from tandem.training.trainer import train


def main(arguments: list[str]) -> None:
    """Train; a signal stops the run politely, as it does with the command line."""
    options, data, out = arguments
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        train(from_flat(json.loads(options)), data, out)
    except TandemError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
