"""The samples of shards as sequences of pairs or single images, found by reading a shard's headers when needed."""

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

from tandem.data.image_file import ImageFile, StackedFile
from tandem.data.images import IMAGE_SUFFIXES, image_stem, image_suffix
from tandem.data.layouts import pairs_among
from tandem.data.shards.index import Shard
from tandem.data.shards.member import ShardMember
from tandem.data.shards.store import ShardStore
from tandem.data.shards.tar import TarMember, scan
from tandem.data.splits import Domain, Pair, Side, SingleImage
from tandem.errors import DataError, listed
from tandem.names import is_control

Kind = TypeVar("Kind", Pair, SingleImage)
MemberPart = str
"""What a member of a sample is: an image of one side (``a``, ``b``; ``a1``, ``a2`` and so on are stacked into A), of
both side by side (``ab``), or the mask of these (``mask``)."""
_PART = re.compile("a|b|ab|mask|a[1-9][0-9]?")

_ESCAPED = re.compile("%(2E|25|5C|7F|[01][0-9A-F]|C2%[89][0-9A-F]|E2%80%A[89])")
"""What stands for a dot, a percent sign, a backslash or a control character; never for a slash."""


class ShardItems(Sequence[Kind], Generic[Kind]):
    """The pairs, or the images of one domain, of some shards in their order; made by `pairs_of` and `images_of`.

    Args:
        store: Gives the shards.
        shards: With the numbers of their samples.
        domain: Of pairs what is an item: "ab" both images, or one of them.
        keep: How many shards' lists are kept in memory; None keeps all.
    """

    def __init__(self, store: ShardStore, shards: Sequence[Shard], domain: Domain, *, keep: int | None) -> None:
        self.store, self.shards, self._keep = store, tuple(shards), keep
        self._domain: Domain = domain
        self.counts = [shard.count for shard in shards]
        self._ends = np.cumsum(self.counts)
        self._lists: OrderedDict[int, list[Kind]] = OrderedDict()

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, index: int) -> Kind: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Kind]: ...
    def __getitem__(self, index: int | slice) -> Kind | Sequence[Kind]:
        """One item or some.

        Raises:
            DataError: Their shard cannot be had, or is damaged.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._list(number)[index - int(self._ends[number]) + self.counts[number]]

    def __iter__(self) -> Iterator[Kind]:
        for number in range(len(self.shards)):
            yield from self._list(number)

    def _list(self, number: int) -> list[Kind]:
        if number in self._lists:
            self._lists.move_to_end(number)
            return self._lists[number]
        shard = self.shards[number]
        domain, items = list_samples(self.store, shard)
        if (domain, len(items)) != (shard.domain, shard.count):
            raise DataError(
                f"{self.store.where}/{shard.name} holds {len(items)} samples of {domain}, but its index says "
                f"{shard.count} of {shard.domain}: the file and the index do not belong together"
            )
        side = self._domain
        picked = items if side == "ab" else [item.image(side) for item in items]
        self._lists[number] = picked  # pyright: ignore[reportArgumentType]
        while self._keep is not None and len(self._lists) > self._keep:
            self._lists.popitem(last=False)
        return self._lists[number]


def pairs_of(store: ShardStore, shards: Sequence[Shard], *, keep: int | None = None) -> ShardItems[Pair]:
    """The pairs of shards that hold pairs."""
    return ShardItems[Pair](store, shards, "ab", keep=keep)


def images_of(
    store: ShardStore, shards: Sequence[Shard], side: Side, *, keep: int | None = None
) -> ShardItems[SingleImage]:
    """The images of one domain, from shards of that domain or of pairs."""
    return ShardItems[SingleImage](store, shards, side, keep=keep)


def survey(store: ShardStore, shard: Shard) -> tuple[Domain, int]:
    """What a shard holds, and how many; `shard` gives its name and size.

    Raises:
        DataError: See `list_samples`.
    """
    domain, items = list_samples(store, shard)
    return domain, len(items)


def list_samples(store: ShardStore, shard: Shard) -> tuple[Domain, list[Pair] | list[SingleImage]]:
    """List the samples of a shard in their order, by its headers; members that are no images are passed over.

    Returns:
        What they are: pairs, or images of one domain; and the samples.

    Raises:
        DataError: It is damaged, or holds no samples, halves of pairs, or a key twice.
    """
    parts: dict[str, dict[str, ShardMember]] = {}
    problems: list[str] = []
    for found, key, part in _named(list(scan(store.path(shard))), problems):
        group = parts.setdefault(key, {})
        if part in group:
            problems.append(f"{found.name}: there is another {part} of '{key}'")
        group[part] = ShardMember(store, shard, found)
    kinds = {_images_of(group) for group in parts.values()}
    if not kinds:
        problems.append(
            "there are no members called KEY.a.png, KEY.b.png or KEY.ab.png (or another image's ending), and none that "
            "lie in folders a/ and b/ or are called like A and B otherwise"
        )
    domain: Domain = "a" if kinds == {("a",)} else "b" if kinds == {("b",)} else "ab"
    if domain == "ab":
        wrong = {key: group for key, group in parts.items() if _images_of(group) not in {("ab",), ("a", "b")}}
        problems += [
            f"'{key}' has {' and '.join(group)} alone; a pair is a and b, or ab" for key, group in wrong.items()
        ]
    if problems:
        raise DataError(f"{store.where}/{shard.name} cannot be used:\n{listed(problems)}")
    if domain == "ab":
        return domain, [_pair(key, group) for key, group in parts.items()]
    return domain, [SingleImage(key, _image(group, domain), mask=group.get("mask")) for key, group in parts.items()]


def _images_of(group: Mapping[str, ShardMember]) -> tuple[str, ...]:
    return tuple(sorted({"a" if part[1:].isdigit() else part for part in group} - {"mask"}))


def _image(group: Mapping[str, ShardMember], domain: str) -> ImageFile:
    """The image of a side: its member, or those that are stacked into it."""
    numbers = sorted(int(part[1:]) for part in group if domain == "a" and part[1:].isdigit())
    if not numbers:
        return group[domain]
    if "a" in group or numbers != list(range(1, len(numbers) + 1)) or len(numbers) < 2:
        first = group[f"a{numbers[0]}"]
        raise DataError(f"{first}: a stacked A is in members a1, a2 and so on, without a member a")
    return StackedFile(tuple(group[f"a{n}"] for n in numbers), tuple(f"A{n}" for n in numbers))


def _named(members: Sequence[TarMember], problems: list[str]) -> list[tuple[TarMember, str, MemberPart]]:
    """The images among members with their keys and parts.

    Where none has a part by the convention, such as ``1.a.png``, what tells A and B apart is looked for among the names
    of `NAMES_OF_PAIRS`: words before the ending, ``1.input.png``, else folders, ``a/1.png``, which the key is without.
    """
    own = [(one, *name) for one in members if (name := split_name(one.name)) is not None]
    if own:
        return own
    images = [one for one in members if image_suffix(one.name) is not None and not _is_hidden(one.name)]
    for words, key_without in ((_word_of, _without_word), (_folders_of, _without_folder)):
        by_member = [words(one.name) for one in images]
        ways = pairs_among(dict.fromkeys(word for found in by_member for word in found))
        if len(ways) > 1:
            shown = "; ".join(f"{a} and {b}" for a, b in ways)
            problems.append(f"its members say in several ways which are A and B ({shown})")
            return []
        if ways:
            sides: dict[str, Domain] = {ways[0][0]: "a", ways[0][1]: "b"}
            return [
                (one, key_without(one.name, word), sides[word])
                for one, found in zip(images, by_member, strict=True)
                for word in found
                if word in sides
            ]
    return []


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _word_of(name: str) -> list[str]:
    """What stands between the key and the ending: ``1.input.png`` → ``input``."""
    parts = name.rpartition("/")[2].split(".")
    return parts[1:2] if len(parts) == 3 else []


def _without_word(name: str, word: str) -> str:
    del word
    folders, slash, file = name.rpartition("/")
    return folders + slash + file.partition(".")[0]


def _folders_of(name: str) -> list[str]:
    return name.split("/")[:-1]


def _without_folder(name: str, folder: str) -> str:
    parts = name.split("/")
    parts.remove(folder)
    return "/".join([*parts[:-1], image_stem(parts[-1])])


def _pair(key: str, group: Mapping[str, ShardMember]) -> Pair:
    mask = group.get("mask")
    return Pair(key, group["ab"], None, mask) if "ab" in group else Pair(key, _image(group, "a"), group["b"], mask)


def split_name(name: str) -> tuple[str, MemberPart] | None:
    """The key and the part of a member's name, ``1.a.png`` → ``1``, ``a``; None if it is no image of a sample."""
    folders, slash, file = name.rpartition("/")
    key, _, rest = file.partition(".")
    part, _, suffix = rest.lower().partition(".")
    if not key or f".{suffix}" not in IMAGE_SUFFIXES:
        return None
    key = folders + slash + key
    key = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].replace("%", "")).decode(), key)
    return (key, part) if _PART.fullmatch(part) else None


def member_name(key: str, part: MemberPart, suffix: str) -> str:
    """The inverse of `split_name`; in the convention a key ends at the first dot, so that its own dots are escaped."""
    return f"{''.join(map(_escaped, key))}.{part}{suffix}"


def _escaped(sign: str) -> str:
    if sign in "%.\\" or is_control(sign):
        return "".join(f"%{value:02X}" for value in sign.encode())
    return sign
