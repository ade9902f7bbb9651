"""Commands that a sentence names, as they are typed to read what the sentence is about.

Belongs here: the option that a named command needs. Does not: the sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_of_demo: Final = ContextVar("of_demo", default=False)
# Commands that take --demo, within backticks and without it so far.
_READING: Final = re.compile(
    r"(`taker (?:alerts|brief|claim|merge-months|report|sql|status|tables|verify))\b(?![^`]*--demo)"
)


@contextmanager
def hints_of_one_command() -> Iterator[None]:
    """What the command states of its data holds until it ends."""
    before = _of_demo.set(_of_demo.get())
    try:
        yield
    finally:
        _of_demo.reset(before)


def hint_at_demo(demo: bool) -> None:
    """From here on sentences are about the demo's data, or about the user's own."""
    _of_demo.set(demo)


def as_typed(sentence: str) -> str:
    """The sentence with each command in it as it is to be typed."""
    return _READING.sub(r"\1 --demo", sentence) if _of_demo.get() else sentence
