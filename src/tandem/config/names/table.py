"""Option names of other projects and what they are called here: one table, read by messages, documents and tools.

A name is found however it is spelled: upper and lower case, dashes and underscores are the same.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from tandem.config.names.entry import OtherName
from tandem.config.names.joligen import FAMILIES, joligen
from tandem.config.names.published import published
from tandem.config.names.trainers import trainers


@cache
def other_names() -> tuple[OtherName, ...]:
    """Every entry, project by project."""
    return (*published(), *joligen(), *trainers())


def key_of(name: str) -> str:
    """What is the same in all spellings of a name: ``--batchSize``, ``--batch_size``, ``--batch-size``."""
    return name.lower().replace("-", "").replace("_", "")


@cache
def _by_key() -> Mapping[str, OtherName]:
    """Entries by the keys of their names; names of earlier projects win over later ones."""
    found: dict[str, OtherName] = {}
    for entry in other_names():
        for name in entry.there:
            found.setdefault(key_of(name), entry)
    return MappingProxyType(found)


def find_name(name: str) -> OtherName | None:
    """The entry of an option name of another project; of ``trainer.max_epochs`` the last word counts."""
    return _by_key().get(key_of(name)) or _by_key().get(key_of(name.rpartition(".")[2]))


def family_of(name: str) -> str | None:
    """What to say of a name that has one of joliGEN's prefixes and is not in the table."""
    written = name.lstrip("-")
    families = [prefix for prefix in FAMILIES if written.startswith(prefix)]
    return FAMILIES[max(families, key=len)] if families else None


def value_here(flag: str, given: str) -> str | None:
    """What the value of an option is called here: ``bce`` for ``--gan-loss vanilla``."""
    for entry in other_names():
        if any(way.options == (flag,) for way in entry.here):
            for way in entry.values.get(given, ()):
                words = way.words.split()
                if flag in words and words.index(flag) + 1 < len(words):
                    found = words[words.index(flag) + 1]
                    return found if found != given else None
    return None
