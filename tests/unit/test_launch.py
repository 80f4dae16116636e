"""Which process of how many: torchrun's and SLURM's variables."""

import pytest

from tandem.errors import ConfigError
from tandem.launch import Launch, find_launch, first_host

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node01",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SRUN = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_JOB_ID": "1234567",
}


def test_alone() -> None:
    launch = find_launch({})
    assert launch == Launch()
    assert (launch.size, launch.is_main, launch.prefix) == (1, True, "")


def test_torchrun() -> None:
    launch = find_launch(TORCHRUN)
    assert (launch.rank, launch.size, launch.local_rank) == (5, 8, 1)
    assert (launch.address, launch.port, launch.attempt, launch.agent_store) == ("node01", 29500, 2, True)
    assert (launch.is_main, launch.prefix) == (False, "[rank 5] ")


def test_srun() -> None:
    launch = find_launch(SRUN)
    assert (launch.rank, launch.size, launch.local_rank) == (3, 4, 1)
    assert (launch.address, launch.one_gpu_each, launch.agent_store) == ("gpu07", True, False)
    assert 20_000 <= launch.port < 40_000
    assert find_launch(SRUN | {"SLURM_JOB_ID": "1234568"}).port != launch.port
    given = find_launch(SRUN | {"MASTER_ADDR": "login", "MASTER_PORT": "4711"})
    assert (given.address, given.port) == ("login", 4711)


def test_torchrun_inside_srun_counts() -> None:
    assert find_launch(SRUN | TORCHRUN).rank == 5


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"},  # a batch script before its srun
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},  # a shell that srun --pty has opened
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"WORLD_SIZE": "4"},
    ],
)
def test_what_is_one_process_all_the_same(environment: dict[str, str]) -> None:
    assert find_launch(environment).size == 1


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node01", "node01"),
        ("node01,node02", "node01"),
        ("node[03-05,9],other", "node03"),
        ("node[9]", "node9"),
        ("rack[1-2]-n7", "rack1-n7"),
        ("a-b.example.org", "a-b.example.org"),
    ],
)
def test_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MASTER_PORT": ""}, r"RANK and WORLD_SIZE \(8\) are set, but not MASTER_ADDR and MASTER_PORT"),
        ({"RANK": "8"}, "process 8 of 8: ranks count from 0 to 7"),
        ({"RANK": "x"}, "RANK is 'x', not a number"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1', not a number"),
    ],
)
def test_contradictions(change: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_launch(TORCHRUN | change)
