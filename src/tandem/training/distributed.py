"""Connects the processes that torchrun or srun started to train one model; see `tandem.training.process_group`."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from tandem.errors import ConfigError, PeerError
from tandem.launch import Launch, find_launch
from tandem.networks.device import choose_device
from tandem.networks.synchronised import naming_lost_peers
from tandem.training.heartbeat import Heartbeat
from tandem.training.process_group import ProcessGroup

START_TIMEOUT = timedelta(minutes=5)
COLLECTIVE_TIMEOUT = timedelta(minutes=10)
"""Longest that one process may let the others wait in a collective; that it is alive is known from its heartbeat."""
START_PATIENCE_SECONDS = 15.0
"""How long processes wait for each other without a word."""

log = logging.getLogger(__name__)


@contextmanager
def join(device_name: str) -> Iterator[ProcessGroup]:
    """Connect this process with the others that were started with it; alone it is a process group of one.

    Args:
        device_name: The option: ``auto``, ``cpu``, ``cuda``; of several processes each takes a GPU of its own.

    Raises:
        ConfigError: This machine lacks the device, or GPUs for all of its processes.
        PeerError: Another process has ended or cannot be reached.
    """
    launch = find_launch()
    if launch.size == 1:
        yield ProcessGroup(device=choose_device(device_name))
        return
    device = _own_device(device_name, launch)
    with naming_lost_peers(), _saying_who_is_awaited(launch):
        store, own = _connect(launch), _connect(launch)
        store.set(Heartbeat.key(launch.rank), "0")
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=store, rank=launch.rank, world_size=launch.size, timeout=COLLECTIVE_TIMEOUT
        )
        store.wait([Heartbeat.key(rank) for rank in range(launch.size)], START_TIMEOUT)
    heartbeat = Heartbeat(own, rank=launch.rank, size=launch.size)
    heartbeat.start()
    process_group = ProcessGroup(device=device, rank=launch.rank, size=launch.size, store=store, heartbeat=heartbeat)
    try:
        yield process_group
        heartbeat.stop()
        process_group.leave()
    except PeerError as error:
        raise process_group.explained(error) from error
    except BaseException as error:
        process_group.report(error)
        raise
    finally:
        dist.destroy_process_group()  # first: where this hangs, the heartbeat still ends the process
        heartbeat.stop()


@contextmanager
def _saying_who_is_awaited(launch: Launch) -> Iterator[None]:
    """Say after a while what the main process waits for, which is all of them."""
    minutes = START_TIMEOUT // timedelta(minutes=1)
    words = ("waiting for all %d processes to start, up to %d minutes", launch.size, minutes)
    timer = threading.Timer(START_PATIENCE_SECONDS, log.info, words)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _connect(launch: Launch) -> dist.Store:
    store = dist.TCPStore(
        launch.address,
        launch.port,
        launch.size,
        is_master=launch.is_main and not launch.agent_store,
        timeout=START_TIMEOUT,
        wait_for_workers=False,
        multi_tenant=True,
    )
    return dist.PrefixStore(f"tandem/{launch.attempt}", store)


def _own_device(name: str, launch: Launch) -> torch.device:
    if name.startswith("cuda:"):
        raise ConfigError(
            f"--device {name}: {launch.size} processes cannot share one GPU. With --device cuda (or auto) each "
            "takes one of its own; CUDA_VISIBLE_DEVICES says which there are."
        )
    device = choose_device(name)
    if device.type == "mps":
        raise ConfigError("several processes train on CUDA or on the CPU: give --device cpu.")
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count()
    index = 0 if launch.one_gpu_each and count == 1 else launch.local_rank
    if index >= count:
        raise ConfigError(
            f"process {launch.local_rank} of this machine finds {count} GPU(s): start at most one process a GPU "
            "(--nproc-per-node), or train with --device cpu."
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
