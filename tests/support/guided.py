"""Coverage-guided fuzzing with what Python brings: an input that reaches new lines is kept and changed further.

Belongs here: how inputs are changed, what counts as new, how a finding is made smaller. Does not: the targets and the
errors that they may end with (`tests/support/fuzzing.py`), how long it lasts (`tests/torture/test_fuzz.py`).
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from tests.support.fuzzing import TOKENS, attempt

_LINES_OF = "/ingestion/"
_FIELD = re.compile(rb"[^,\n\"{}\[\]:]+")
# No input of these sizes may cost more.
_MOST_SECONDS = 20.0
_MOST_BYTES = 1 << 20
_ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        -(2**63) - 1,
        2**64,
        10**40,
        1.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        " ",
        "0",
        "-1",
        "+1",
        "1e400",
        "1e-400",
        "NaN",
        "-Infinity",
        "9" * 400,
        "0x10",
        "1_000",
        "²²",
        "１",
        "\x00",
        "\ud800",
    ),
    *("true", "Buy", "SELL", "long", [], {}, [[]], [{}], {"data": []}, [None], ["a"] * 50),
]


@dataclass
class Finding:
    """An input after which something else came out than may, made smaller, and what that was."""

    payload: bytes
    error: str


@dataclass
class Fuzzed:
    """How many inputs one target was given, and what they found."""

    inputs: int = 0
    kept: int = 0
    slowest: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)


def fuzzed(target: str, seeds: list[bytes], rng: random.Random, cpu_seconds: float) -> Fuzzed:
    """Attempt inputs that grow out of the seeds, for so many seconds of CPU."""
    result, pool, seen = Fuzzed(), list(seeds), set[tuple[int, int]]()
    for seed in seeds:
        seen |= _observed(target, seed)[0]
    ends = time.process_time() + cpu_seconds
    while (began := time.process_time()) < ends:
        # Half of the time what was found last, which is what leads further.
        parent = rng.choice(pool[-8:] if rng.random() < 0.5 else pool)
        payload = changed(parent, pool, rng)
        reached, error = _observed(target, payload)
        took = time.process_time() - began
        result.inputs += 1
        result.slowest = max(result.slowest, took)
        if took > _MOST_SECONDS:
            error = f"it took {took:.0f} s of CPU"
        if error and error not in result.findings:
            result.findings[error] = Finding(_smaller(target, payload, error), error)
        if reached - seen:
            seen |= reached
            pool.append(payload)
            result.kept += 1
    return result


def changed(payload: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    """One to four changes: of bytes, of fields, of a JSON's values, or a part of another input in it."""
    if rng.random() < 0.5 and payload[:1] in (b"{", b"["):
        payload = _other_values(payload, rng)
    for _ in range(rng.randint(1, 4)):
        text = bytearray(payload)
        at, kind = rng.randint(0, len(text)), rng.randrange(7)
        if kind == 0:
            text[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            text[at : at + rng.randint(1, 40)] = b""
        elif kind == 2:
            text[at:at] = text[at : at + rng.randint(1, 200)] * rng.choice((1, 1, 2, 50))
        elif kind == 3 and at < len(text):
            text[at] ^= 1 << rng.randrange(8)
        elif kind == 4:
            other = rng.choice(pool)
            cut = rng.randint(0, len(other))
            text[at : at + rng.choice((0, 20))] = other[cut : cut + rng.randint(1, 100)]
        elif fields := list(_FIELD.finditer(payload)):
            start, end = rng.choice(fields).span()
            other_start, other_end = rng.choice(fields).span()
            text[start:end] = rng.choice(TOKENS) if kind == 5 else payload[other_start:other_end]
        payload = bytes(text[:_MOST_BYTES])
    return payload


def _other_values(payload: bytes, rng: random.Random) -> bytes:
    """The JSON with one value replaced, removed or doubled."""
    try:
        root = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    places: list[tuple[Any, Any]] = []
    below = [root]
    while below and len(places) < 1000:
        node = below.pop()
        found = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in found:
            places.append((node, key))
            below.append(value)
    if not places:
        return payload
    node, key = rng.choice(places)
    choice = rng.randrange(5)
    if choice == 0:
        del node[key]
    elif choice == 1 and isinstance(node, list):
        node.append(node[key])
    elif choice == 2:
        node[key] = [node[key]]
    else:
        node[key] = rng.choice(_ODD)
    return json.dumps(root).encode()


def _observed(target: str, payload: bytes) -> tuple[set[tuple[int, int]], str]:
    """The steps from line to line of the project that the input takes, and what came out that may not."""
    steps: set[tuple[int, int]] = set()
    former = 0

    def of_a_line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal former
        here = hash((frame.f_code.co_filename, frame.f_lineno))
        steps.add((former, here))
        former = here
        return of_a_line

    def of_a_call(frame: FrameType, event: str, argument: Any) -> Any:
        return of_a_line if _LINES_OF in frame.f_code.co_filename else None

    traced = sys.gettrace()
    sys.settrace(of_a_call)
    try:
        attempt(target, payload)
    except Exception as error:
        return steps, f"{type(error).__name__} at {_where(error)}: {str(error)[:200]}"
    finally:
        sys.settrace(traced)
    return steps, ""


def _where(error: BaseException) -> str:
    """The innermost line of the project, so that one fault is one finding."""
    place, step = "", error.__traceback__
    while step is not None:
        if _LINES_OF in step.tb_frame.f_code.co_filename:
            place = f"{step.tb_frame.f_code.co_name}:{step.tb_lineno}"
        step = step.tb_next
    return place


def _smaller(target: str, payload: bytes, error: str, most_attempts: int = 200) -> bytes:
    """Without the parts that the finding does not need."""
    size, left = len(payload) // 2, most_attempts
    while size and left > 0:
        at = 0
        while at < len(payload) and left > 0:
            shorter = payload[:at] + payload[at + size :]
            left -= 1
            if _observed(target, shorter)[1] == error:
                payload = shorter
            else:
                at += size
        size //= 2
    return payload
