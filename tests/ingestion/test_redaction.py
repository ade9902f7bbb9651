"""One function hides what is secret in addresses, wherever they stand in a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.errors import ArchiveUnavailable, ChecksumMismatch, ContractViolation
from ingestion.domain.redaction import redacted


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://user:secret@host:8443/a/b", "https://***@host:8443/a/b"),
        ("https://secret@host", "https://***@host"),
        ("wss://user:secret@host/ws?x=1 and s3://k:secret@b/p", "wss://***@host/ws?x=1 and s3://***@b/p"),
        ("postgresql://u:secret@h/db?password=secret&x=1", "postgresql://***@h/db?password=***&x=1"),
        ("https://user:se/cr@et@host/x", "https://***@host/x"),
        ('{"url": "http://u:sécret@h/"}', '{"url": "http://***@h/"}'),
        ("https://h/k?X-Amz-Signature=secret&X-Amz-Date=1", "https://h/k?X-Amz-Signature=***&X-Amz-Date=1"),
        ("https://h/k?a=1&X-Amz-Security-Token=secret", "https://h/k?a=1&X-Amz-Security-Token=***"),
        ("https://h/k?sv=1&sig=secret)", "https://h/k?sv=1&sig=***)"),
        ("https://h/k?Signature=secret&Key-Pair-Id=secret", "https://h/k?Signature=***&Key-Pair-Id=***"),
        ("https://h/k?access_token=secret; run again", "https://h/k?access_token=***; run again"),
        ("/k?api_key=secret", "/k?api_key=***"),
        ("https://host/path, write to me@host", "https://host/path, write to me@host"),
        ("symbol=BTCUSDT&interval=1h", "symbol=BTCUSDT&interval=1h"),
        ("data/x/symbol=BTCUSDT/date=2024-01-02/data.parquet", "data/x/symbol=BTCUSDT/date=2024-01-02/data.parquet"),
    ],
)
def test_what_is_secret_is_hidden_and_the_rest_stays(text: str, hidden: str) -> None:
    assert redacted(text) == hidden
    assert redacted(hidden) == hidden


@given(
    st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r\"'`<>\\@"), min_size=1).map(
        lambda t: f"§{t.strip()}§"
    )
)
def test_no_password_survives_in_a_text_or_in_json(password: str) -> None:
    if not password.isprintable() or any(letter.isspace() for letter in password):
        return
    text = f"x https://user:{password}@host/p y"
    assert password not in redacted(text)
    assert password not in json.loads(redacted(json.dumps({"a": text})))["a"]


@pytest.mark.parametrize("error", [ArchiveUnavailable, ChecksumMismatch])
def test_errors_hide_them_by_themselves(error: type[Exception]) -> None:
    assert str(error("https://u:secret@h/k is not answering")) == "https://***@h/k is not answering"


def test_errors_with_parts_do_too() -> None:
    assert "secret" not in str(ContractViolation("http://u:secret@h/k", ["a fault"]))
