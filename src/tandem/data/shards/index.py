"""What ``index.json`` of a packed dataset says, read without trust."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from tandem.config.parse import parse_dataclass
from tandem.data.splits import Domain, SplitFacts, SplitName
from tandem.errors import DataError

FORMAT = "tandem-shards"
VERSION = 1
INDEX_NAME = "index.json"
PARTIAL_NAME = "index.partial.json"
"""Says, until a dataset is packed, what it is going to be."""
MAX_INDEX_BYTES = 64 << 20
MAX_SHARD_BYTES = 1 << 40
MIN_SAMPLE_BYTES = 1024
"""A header and a block of an image: what a sample takes in a tar file at the least."""
MAX_SAMPLES = 50_000_000
"""Of a dataset; an order of so many takes 0.4 GB."""

ShardLayout = Literal["side_by_side", "folders", "unpaired"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes:
        name: Of the file, without folders.
        split: What its samples are for.
        domain: What they hold: pairs, or images of one domain.
        count: How many there are.
        size: Bytes of the file.
        sha256: Of the file.
    """

    name: str
    split: SplitName
    domain: Domain
    count: int
    size: int
    sha256: str


@dataclass(frozen=True)
class ShardIndex:
    """A packed dataset: its shards in the order of their samples."""

    format: Literal["tandem-shards"]
    version: int
    layout: ShardLayout
    shards: tuple[Shard, ...]
    splits: Mapping[str, SplitFacts]

    def as_json(self) -> str:
        """The text of ``index.json``."""
        return json.dumps(asdict(self), indent=1) + "\n"


def parse_index(text: bytes, where: str) -> ShardIndex:
    """Read the content of an ``index.json``.

    Raises:
        DataError: It is none, or damaged, or names files outside its folder.
    """
    if len(text) > MAX_INDEX_BYTES:
        raise DataError(f"{where} has more than {MAX_INDEX_BYTES} bytes, the most that is read.")
    try:
        document = json.loads(text.decode("utf-8"))
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f'expected "format": "{FORMAT}"')
        if document.get("version") != VERSION:
            raise ValueError(f"it has version {document.get('version')!r:.20}, this is version {VERSION}")
        index = parse_dataclass(ShardIndex, document, "index")
        _check(index)
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{where} is no index of shards that can be used: {error}.") from error
    return index


def _check(index: ShardIndex) -> None:
    names = [shard.name for shard in index.shards]
    if not names or len(set(names)) < len(names):
        raise ValueError("there are no shards, or two of one name")
    for shard in index.shards:
        if not _NAME.fullmatch(shard.name):
            raise ValueError(f"{shard.name!r:.80} is no name of a shard")
        if not _SHA256.fullmatch(shard.sha256):
            raise ValueError(f"{shard.name}: sha256 is no SHA-256")
        if shard.count < 1 or not 1024 <= shard.size <= MAX_SHARD_BYTES:
            raise ValueError(f"{shard.name}: {shard.count} samples in {shard.size} bytes cannot be")
        if shard.count * MIN_SAMPLE_BYTES > shard.size:
            raise ValueError(f"{shard.name}: {shard.count} samples do not fit into {shard.size} bytes")
        if (shard.domain == "ab") == (index.layout == "unpaired"):
            raise ValueError(f"{shard.name}: domain {shard.domain} does not go with layout {index.layout}")
    if (total := sum(shard.count for shard in index.shards)) > MAX_SAMPLES:
        raise ValueError(f"it has {total} samples, at most {MAX_SAMPLES} are read")
    splits = {shard.split for shard in index.shards}
    if splits != set(index.splits):
        raise ValueError("splits and shards do not go together")
    for split in splits if index.layout == "unpaired" else ():
        if {shard.domain for shard in index.shards if shard.split == split} != {"a", "b"}:
            raise ValueError(f"split '{split}' has one domain only")
