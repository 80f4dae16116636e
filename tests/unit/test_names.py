"""Names of files: what a terminal gets of them, and what files that are made of them are called."""

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.names import MAX_NAME_BYTES, OWN_ENDING_BYTES, file_stem, shortened, shown

NAMES = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b]0;pwned\x07.png", "\\x1b[2J\\x1b]0;pwned\\x07.png"),
        ("a\x7f\x9bb\r", "a\\x7f\\x9bb\\x0d"),
        ("moc.\u202eexe", "moc.\\u202eexe"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        (os.fsdecode(b"\xc4\xe3\xba\xc3"), "\\xc4\\xe3\\xba\\xc3"),
        ("\ud83d", "\\ud83d"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Screenshot 3.14\u202fPM, \u0645\u06cc\u200c\u0634, \u732b, \U0001f408", None),
    ],
)
def test_what_a_terminal_gets(text: str, expected: str | None) -> None:
    assert shown(text) == (text if expected is None else expected)


@given(st.text(st.characters(codec=None), max_size=60))
def test_a_terminal_obeys_nothing(text: str) -> None:
    out = shown(text)
    out.encode()  # no surrogates
    assert not [sign for sign in out if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} and sign not in "\n\t"]


@given(NAMES, st.integers(0, OWN_ENDING_BYTES))
def test_a_name_fits_and_stays_where_it_does(name: str, room: int) -> None:
    stem = file_stem(name, room=room)
    assert 0 < len(os.fsencode(stem)) <= MAX_NAME_BYTES - room
    assert not re.search(r"[\0/\n\x1b]", stem)
    assert stem == file_stem(name, room=room)
    assert file_stem(stem, room=room) == stem


@pytest.mark.parametrize("name", ["a b#1?%20ü&<i>'\"x", "a\\b" if os.name == "posix" else "ab", os.fsdecode(b"\xff")])
def test_odd_names_are_kept(name: str) -> None:
    assert file_stem(name) == name


def test_two_long_names_stay_two() -> None:
    """Also where they differ in what is cut off, and where two become alike."""
    long = "\u732b" * 85
    stems = [file_stem(name) for name in (long, long[:-1] + "\u72d7", long[:-1])]
    assert len(set(stems)) == 3
    assert all(stem.startswith("\u732b" * 60) for stem in stems)
    assert len({file_stem(name) for name in ("a\nb", "a\tb", "a_b", "a/b")}) == 4
    assert stems[0] == "\u732b" * 66 + "-cc196a85"  # on every machine


def test_shortening_never_cuts_a_character() -> None:
    assert shortened("ab\u732bc", 4) == "ab"
    assert shortened("ab\u732bc", 5) == "ab\u732b"
    assert shortened("abc", 0) == ""
