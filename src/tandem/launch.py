"""Which process of how many this is: what torchrun or SLURM's srun says in the environment.

One process is the rule, and then nothing is in the environment. Nothing is imported here that takes time.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tandem.errors import ConfigError

_FIRST_PORT, _PORTS = 20_000, 20_000  # SLURM names none, so one follows from the number of the job


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One process's place among those that were started together.

    Attributes:
        rank: Its number, from 0; process 0 is the main one, which writes.
        size: How many there are.
        local_rank: Its number on its machine.
        address: Where the processes find each other.
        port: Likewise.
        attempt: How often the processes were started again after a failure (torchrun's --max-restarts).
        agent_store: torchrun runs the store of keys at this address; otherwise process 0 does.
        one_gpu_each: The launcher shows each process its own GPU only.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = ""
    port: int = 0
    attempt: int = 0
    agent_store: bool = False
    one_gpu_each: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def prefix(self) -> str:
        """What messages of this process begin with: nothing in the main one."""
        return "" if self.is_main else f"[rank {self.rank}] "


def find_launch(environment: Mapping[str, str] | None = None) -> Launch:
    """The place of this process: torchrun's variables, else those of a job step of SLURM, else the only process.

    Raises:
        ConfigError: The variables contradict each other.
    """
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given:
        return _checked(_torchrun(given))
    # srun alone sets the number of tasks of a *step*: in a batch script or a shell the variables of the whole job are
    # there as well, but this is one process.
    if _number(given, "SLURM_STEP_NUM_TASKS", 1) > 1 and "SLURM_PROCID" in given:
        return _checked(_slurm(given))
    return Launch()


def _torchrun(given: Mapping[str, str]) -> Launch:
    size = _number(given, "WORLD_SIZE", 1)
    if size > 1 and not (given.get("MASTER_ADDR") and given.get("MASTER_PORT")):
        raise ConfigError(
            f"RANK and WORLD_SIZE ({size}) are set, but not MASTER_ADDR and MASTER_PORT: start with torchrun, or unset "
            "them to train in one process."
        )
    return Launch(
        rank=_number(given, "RANK", 0),
        size=size,
        local_rank=_number(given, "LOCAL_RANK", 0),
        address=given.get("MASTER_ADDR", ""),
        port=_number(given, "MASTER_PORT", 0),
        attempt=_number(given, "TORCHELASTIC_RESTART_COUNT", 0),
        agent_store=given.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _slurm(given: Mapping[str, str]) -> Launch:
    nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_NODELIST") or "localhost"
    return Launch(
        rank=_number(given, "SLURM_PROCID", 0),
        size=_number(given, "SLURM_STEP_NUM_TASKS", 1),
        local_rank=_number(given, "SLURM_LOCALID", 0),
        address=given.get("MASTER_ADDR") or first_host(nodes),
        port=_number(given, "MASTER_PORT", _FIRST_PORT + _number(given, "SLURM_JOB_ID", 0) % _PORTS),
        attempt=_number(given, "SLURM_RESTART_COUNT", 0),
        one_gpu_each=True,
    )


def first_host(nodes: str) -> str:
    """The first machine of a list as SLURM writes it: ``node[03-05,9],other`` → ``node03``."""
    match = re.match(r"([^\[,]+)(?:\[([^\],\-]+)[^\]]*\]([^,]*))?", nodes)
    return nodes if match is None else "".join(part or "" for part in match.groups())


def _number(given: Mapping[str, str], name: str, otherwise: int) -> int:
    text = given.get(name)
    if not text:
        return otherwise
    if not text.isdigit():
        raise ConfigError(f"the environment's {name} is '{text}', not a number: start with torchrun or srun.")
    return int(text)


def _checked(launch: Launch) -> Launch:
    if not 0 <= launch.rank < launch.size:
        raise ConfigError(
            f"the environment says that this is process {launch.rank} of {launch.size}: ranks count from 0 to "
            f"{launch.size - 1}."
        )
    return launch
