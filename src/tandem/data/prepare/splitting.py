"""A dataset split anew by what its images show: the same and nearly the same pictures stay on one side."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from tandem.data.by_content import SplitShares
from tandem.data.examine.duplicates import near_groups
from tandem.data.examine.images import ItemFacts, examine
from tandem.data.prepare.work import Progress, Task, digests_of
from tandem.data.splits import Domain, Item, Split
from tandem.errors import DataError, listed


def plan_split(
    splits: Mapping[str, Split],
    shares: SplitShares,
    *,
    on_look: Progress | None = None,
    on_read: Progress | None = None,
) -> tuple[list[Task], int]:
    """Where each item of a dataset goes, whatever split it was in.

    Args:
        splits: Of one kind, paired or not.
        shares: How much is held out.
        on_look: Called with (done, all) while images are compared.
        on_read: Likewise while files are hashed.

    Returns:
        A task for each item, whose files are copied; and how many items have others that are nearly the same.

    Raises:
        DataError: A file cannot be read, or two items have one name.
    """
    by_domain = _by_domain(splits)
    for items in by_domain.values():
        _refuse_doubles(items)
    hashes, together = _hashes(splits, by_domain, on_look, on_read)
    tasks = [
        Task(f"{domain}/{item.name}", item.files, digest, _targets(item, domain, shares.of(deciding)))
        for domain, items in by_domain.items()
        for item, (digest, deciding) in zip(items, hashes[domain], strict=True)
    ]
    return tasks, together


def deciding_hashes(
    splits: Mapping[str, Split], *, on_look: Progress | None = None, on_read: Progress | None = None
) -> tuple[dict[Domain, list[str]], int]:
    """The hash by which each item is split, the same of pictures that are nearly the same; how many have such company.

    Args:
        splits: Of one kind, paired or not.
        on_look: See `plan_split`.
        on_read: Likewise.

    Returns:
        Hexadecimal SHA-256 hashes of the items of each domain, in the order of the splits; and a number of items.

    Raises:
        DataError: A file cannot be read.
    """
    hashes, together = _hashes(splits, _by_domain(splits), on_look, on_read)
    return {domain: [deciding for _, deciding in both] for domain, both in hashes.items()}, together


def _by_domain(splits: Mapping[str, Split]) -> dict[Domain, list[Item]]:
    found: dict[Domain, list[Item]] = {}
    for split in splits.values():
        for domain, items in split.sequences().items():
            found.setdefault(domain, []).extend(items)
    return found


def _hashes(
    splits: Mapping[str, Split],
    by_domain: Mapping[Domain, Sequence[Item]],
    on_look: Progress | None,
    on_read: Progress | None,
) -> tuple[dict[Domain, list[tuple[str, str]]], int]:
    """Of every item the hash of its files and the one that decides; how many share the latter."""
    facts = examine(list(splits.values()), on_look)
    unreadable = [item.problem for item in facts if item.problem is not None]
    if unreadable:
        raise DataError(f"{len(unreadable)} of {len(facts)} cannot be read:\n{listed(unreadable)}")
    found: dict[Domain, list[tuple[str, str]]] = {}
    together = 0
    for domain, items in by_domain.items():
        # In the order of the splits, as the items are.
        own = [one for one in facts if "".join(image.side for image in one.images) == domain]
        digests = digests_of([item.files for item in items], on_read)
        deciding, number = _deciding(own, digests)
        together += number
        found[domain] = list(zip(digests, deciding, strict=True))
    return found, together


def _deciding(own: Sequence[ItemFacts], digests: Sequence[str]) -> tuple[list[str], int]:
    """The hash by which each item is split, one for all that stay together; how many have company."""
    images = [(image, index) for index, one in enumerate(own) for image in one.images]
    group = list(range(len(own)))
    for side in ("a", "b"):
        of_side = [(image, index) for image, index in images if image.side == side]
        for members in near_groups([image for image, _ in of_side]):
            joined = {group[of_side[member][1]] for member in members}
            least = min(joined)
            group = [least if one in joined else one for one in group]
    members_of: dict[int, list[str]] = defaultdict(list)
    for one, digest in zip(group, digests, strict=True):
        members_of[one].append(digest)
    decided = {}
    for one, members in members_of.items():
        # The least hash of several is small, so it is hashed again; of a single item it is that of the file.
        decided[one] = members[0] if len(members) == 1 else hashlib.sha256(min(members).encode()).hexdigest()
    return [decided[one] for one in group], sum(len(members) for members in members_of.values() if len(members) > 1)


def _targets(item: Item, domain: Domain, split: str) -> tuple[str, ...]:
    if domain == "ab" and len(item.files) == 1:
        return (f"{split}/{item.name}{PurePath(item.files[0].name).suffix}",)
    sides = ("A", "B") if domain == "ab" else (domain.upper(),)
    return tuple(
        f"{split}{side}/{item.name}{PurePath(file.name).suffix}" for side, file in zip(sides, item.files, strict=True)
    )


def _refuse_doubles(items: Sequence[Item]) -> None:
    seen: set[str] = set()
    doubles = [item.name for item in items if item.name in seen or seen.add(item.name)]
    if doubles:
        raise DataError(f"These names are there in several splits; rename the files:\n{listed(doubles)}")
