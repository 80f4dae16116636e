"""Text whose numbers stay whole: a number, an interval, a date or an amount is never broken over two lines."""

import re

_LONGEST = 24  # characters of a word that is kept whole; longer ones, such as digests, must be allowed to break
_NUMBER = re.compile(r"[(\[]?[<>≤≥~+−-]?\d[\d.,:/×x+−–-]*(?:e[+-]?\d+)?[kMG]?%?[)\],;.:]?")
_BEFORE = frozenset({"★", "≈", "±", "≠", "at"})
_BETWEEN = frozenset({"to", "±", "of", "×", "–"})
_UNITS = re.compile(
    r"(?:%|px|m?s|min|h|d|k?B|[MGT]i?B|dB|nats|bits|images|pairs|steps|inputs|epochs|/s|images/s)[)\],;.:]?"
)


def parts_of(text: object) -> list[tuple[str, bool]]:
    """Text as its parts, in their order: each with whether it is a number that must stay on one line."""
    words = re.split(r"(\s+)", str(text))
    parts: list[tuple[str, bool]] = []
    at = 0
    while at < len(words):
        end = _end_of_number(words, at)
        parts.append(("".join(words[at : end or at + 1]), end > 0))
        at = end or at + 1
    return parts


def _end_of_number(words: list[str], start: int) -> int:
    """Where what begins with the word at `start` and belongs to a number ends; 0 if it begins none.

    Words and the blanks between them take turns, so the next word is two further on.
    """
    at = start
    if words[at] in _BEFORE:
        at += 2
    if not _is_number(words, at):
        return 0
    end = at + 1
    while True:
        if end + 1 < len(words) and _UNITS.fullmatch(words[end + 1]):
            end += 2
        elif end + 3 < len(words) and words[end + 1] in _BETWEEN and _is_number(words, end + 3):
            end += 4
        else:
            return end


def _is_number(words: list[str], at: int) -> bool:
    return at < len(words) and len(words[at]) <= _LONGEST and _NUMBER.fullmatch(words[at]) is not None
