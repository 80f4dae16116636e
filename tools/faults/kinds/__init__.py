"""One file per kind of fault, and all kinds in the order of the table."""

from tools.faults.kinds import disks, groups, kills, limits, servers, sharing, signals
from tools.faults.trial import Kind

ALL_KINDS: tuple[Kind, ...] = (
    *kills.KINDS,
    *signals.KINDS,
    *disks.KINDS,
    *limits.KINDS,
    *sharing.KINDS,
    *servers.KINDS,
    *groups.KINDS,
)
