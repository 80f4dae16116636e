"""From a configuration to an objective."""

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.cut import CUTConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.pix2pix import Pix2PixConfig
from tandem.config.run import RunConfig
from tandem.config.tandem import TandemConfig
from tandem.errors import ConfigError
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.cut import CUT
from tandem.objectives.cyclegan import CycleGAN
from tandem.objectives.objective import Objective
from tandem.objectives.pix2pix import Pix2Pix
from tandem.objectives.tandem import Tandem


def build_objective(config: RunConfig) -> Objective:
    """Build the method's networks and phases, with initial weights drawn from the run's seed.

    Raises:
        ConfigError: It is no method of Tandem's.
    """
    match config.objective:
        case TandemConfig() as options:
            objective: Objective = Tandem(options, config.data)
        case BicycleGANConfig() as options:
            objective = BicycleGAN(options, config.data)
        case Pix2PixConfig() as options:
            objective = Pix2Pix(options, config.data)
        case CycleGANConfig() as options:
            objective = CycleGAN(options, config.data)
        case CUTConfig() as options:
            objective = CUT(options, config.data)
        case other:
            raise ConfigError(
                f"method '{other.method}' is none of Tandem's, so what builds it must be given: "
                "tandem.training.trainer.train(..., make_objective=...)."
            )
    objective.initialise(config.training.seed)
    return objective
