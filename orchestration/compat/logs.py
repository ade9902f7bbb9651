"""Python's logging without the secrets of addresses.

Belongs here: the one replacement that this takes. Does not: what is secret (`ingestion.domain.redaction`), or which
processes log (`orchestration.runs`, `orchestration.definitions`).

`redact_logs` replaces `logging.Handler.format`. Dagster, uvicorn, dbt and the libraries below them each make handlers
of their own, for the terminal, for files and for the captured output of steps, and a traceback becomes text in the
handler alone: neither a filter nor a record factory sees it.
    Upstream: Lib/logging/__init__.py; `Handler.format` is documented, its replacement is not foreseen.
    Remove when: these programs accept a formatter for everything that they log.
"""

from __future__ import annotations

import logging

from ingestion.domain.redaction import redacted

_format = logging.Handler.format


def _redacting(self: logging.Handler, record: logging.LogRecord) -> str:
    return redacted(_format(self, record))


def redact_logs() -> None:
    """Hide the secrets of addresses in whatever this process logs from now on. Calling again changes nothing."""
    logging.Handler.format = _redacting  # type: ignore[method-assign]
