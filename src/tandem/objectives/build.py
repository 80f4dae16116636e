"""From a configuration to an objective."""

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig
from tandem.objectives.bicyclegan import BicycleGAN
from tandem.objectives.phase import Objective


def build_objective(config: RunConfig) -> Objective:
    """Build the method's networks and phases, with initial weights drawn from the run's seed."""
    match config.objective:
        case BicycleGANConfig() as options:
            objective = BicycleGAN(options, config.data)
    objective.initialise(config.training.seed)
    return objective
