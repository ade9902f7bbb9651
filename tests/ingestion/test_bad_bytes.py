"""Any bytes: only the project's own errors come out, and nothing is stored of what cannot be used.

Belongs here: a few inputs per target, and every input of the corpus.
Does not: many of them (`tests/torture/test_fuzz.py`).
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.archives import AGG_HEADER, agg_rows
from tests.support.fuzzing import CORPUS, DAY, TOKENS, attempt, decode_bytes, packed, seeds

SEEDS = seeds()
AGG = "aggTrades", "binance_um:BTCUSDT"
quick = settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def damaged(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """A good input with bytes flipped, cut out, repeated, or replaced by tokens that matter to some format."""
    text = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        change = draw(st.integers(0, 4))
        if change == 0:
            text[at:at] = draw(st.sampled_from(TOKENS))
        elif change == 1:
            token = draw(st.sampled_from(TOKENS))
            text[at : at + len(token)] = token
        elif change == 2:
            del text[at : at + draw(st.integers(1, 40))]
        elif change == 3:
            text[at:at] = text[at : at + draw(st.integers(1, 200))]
        elif at < len(text):
            text[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(text)


@pytest.mark.parametrize("target", SEEDS)
def test_damaged_bytes_end_in_rows_or_in_an_error_of_the_project(target: str) -> None:
    @quick
    @given(damaged(SEEDS[target]))
    def check(payload: bytes) -> None:
        attempt(target, payload)

    for good in SEEDS[target]:
        attempt(target, good)
    check()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.bin")), ids=lambda path: path.name)
def test_what_once_broke_a_reader_is_read(path: Path) -> None:
    target = path.name.partition("__")[0].replace("~", " ").replace("=", ":")
    attempt(target, path.read_bytes())


def archive(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for info, content in members:
            made.writestr(info, content)
    return buffer.getvalue()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("a.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


ROWS = "\n".join([AGG_HEADER, *agg_rows(DAY)])
GOOD = packed(ROWS.encode(), "binance")
HOSTILE = {
    "an archive in an archive": packed(GOOD, "binance"),
    "a path upwards": packed(ROWS.encode(), "binance", name="../../etc/cron.d/a"),
    "an absolute path": packed(ROWS.encode(), "binance", name="/etc/passwd"),
    "a link": archive((link(), b"/etc/passwd")),
    "a folder": archive((zipfile.ZipInfo("a/"), b"")),
    "two members": archive((zipfile.ZipInfo("a.csv"), b"1"), (zipfile.ZipInfo("b.csv"), b"2")),
    "one name twice": archive((zipfile.ZipInfo("a.csv"), b"1"), (zipfile.ZipInfo("a.csv"), b"2")),
    "no member": archive(),
    "half of it": GOOD[: len(GOOD) // 2],
    "its end alone": GOOD[-22:],
    "a claim of ten gigabytes": GOOD.replace(struct.pack("<L", len(ROWS)), struct.pack("<L", 0xF0000000)),
    "nothing": b"",
    "a page of HTML": b"<html><body>403 Forbidden</body></html>",
    "an error of S3": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "zeros": bytes(1 << 20),
}
TEXTS = {
    "very many columns": b",".join([b"a"] * 200_000) + b"\n",
    "a row of very many columns": ROWS.encode() + b"\n" + b",".join([b"1"] * 200_000) + b"\n",
    "quotes that never close": ROWS.replace(",42000.5", ',"42000.5').encode(),
    "quotes in quotes": ROWS.replace(",42000.5,", ',"""42000.5""",').encode(),
    "nul bytes": ROWS.replace("42000", "42\x00000").encode(),
    "a byte order mark": b"\xef\xbb\xbf" + ROWS.encode(),
    "sixteen bits": ROWS.encode("utf-16"),
    "not UTF-8": ROWS.replace("true", "tr\xfce").encode("latin-1"),
    "carriage returns": ROWS.replace("\n", "\r\n").encode(),
    "carriage returns alone": ROWS.replace("\n", "\r").encode(),
    "a header alone": AGG_HEADER.encode(),
    "nothing": b"",
    "empty lines": b"\n" * 1000,
    "one number": b"7",
    "a formula": ROWS.replace("42000.5", "=1+1").encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(name: str) -> None:
    decode_bytes(HOSTILE[name], *AGG)


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused_or_read(name: str) -> None:
    decode_bytes(packed(TEXTS[name], "binance"), *AGG)
