"""One message to one receiver: a POST of JSON as Slack's incoming webhooks take it.

Belongs here: the request, and what its outcome means. Does not: when to try again (`outbox`, `evaluation`).

The address holds a token. It is never followed to another host, and no error, log or answer of this module quotes it.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from orchestration.alerts.facts import moment
from orchestration.alerts.outbox import Alert

if TYPE_CHECKING:
    import urllib3

TIMEOUT_SECONDS: Final = 10.0
_LONGEST_WAIT: Final = timedelta(hours=1)
_LONGEST_TEXT: Final = 8_000
# A gateway that gave up may have handed the message on before.
_UNSURE_STATUSES: Final = frozenset({502, 504})
_WORTH_RETRYING: Final = frozenset({408, 425, 429})


class Outcome(StrEnum):
    """The outcome of an attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """How a receiver answered a message.

    `text`: the outcome, without any part of the address. `is_unsure`: it may have the message all the same.
    `retry_after`: how long it is to be left without requests, if it states that.
    """

    outcome: Outcome
    text: str
    is_unsure: bool = False
    retry_after: timedelta | None = None


def payload_of(alert: Alert) -> dict[str, Any]:
    """What is sent. `idempotency_key` is the same however often, so that a receiver can tell a repetition."""
    lines = [alert.text[:_LONGEST_TEXT], f"First seen {moment(alert.first_seen_at)}."]
    if alert.ended_at is not None:
        lines.append(f"Over since {moment(alert.ended_at)}.")
    if alert.is_unsure:
        lines.append("Sent again: whether an earlier attempt arrived is not known.")
    return {"text": _escaped("\n".join(lines)), "idempotency_key": alert.key}


def _escaped(text: str) -> str:
    """Slack reads these three as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Webhook:
    """A receiver. `timeout`: seconds for connecting, and again for the answer."""

    def __init__(self, url: SecretStr, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url = url
        self._timeout = timeout

    def send(self, alert: Alert, now: datetime) -> Answer:
        """Try once. Never raises for what the network or the receiver does."""
        import urllib3
        from urllib3 import exceptions

        pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout))
        body = json.dumps(payload_of(alert), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": _ascii(alert.key)}
        # The texts of these errors quote the address: only their kind is passed on.
        try:
            with pool, _silenced():
                answer = pool.request(
                    "POST",
                    self._url.get_secret_value(),
                    body=body,
                    headers=headers,
                    redirect=False,
                    preload_content=False,
                )
                status, retry_after = answer.status, answer.headers.get("Retry-After")
                body_start = _read(answer) if status >= 300 else b""
        except exceptions.NameResolutionError:
            return Answer(Outcome.FAILED, "the receiver's name cannot be resolved")
        except exceptions.NewConnectionError:
            return Answer(Outcome.FAILED, "no connection to the receiver")
        except exceptions.ConnectTimeoutError:
            return Answer(Outcome.FAILED, f"no connection within {self._timeout:g} s")
        except exceptions.SSLError:
            return Answer(Outcome.FAILED, "the receiver's certificate cannot be verified")
        except exceptions.TimeoutError:
            return Answer(Outcome.FAILED, f"no answer within {self._timeout:g} s", is_unsure=True)
        except (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError):
            return Answer(Outcome.FAILED, "the connection broke before an answer", is_unsure=True)
        return self._judged(status, body_start, retry_after, now)

    def _judged(self, status: int, body_start: bytes, retry_after: str | None, now: datetime) -> Answer:
        if 200 <= status < 300:
            return Answer(Outcome.DELIVERED, f"HTTP {status}")
        reason = body_start.decode(errors="replace").strip()
        # Slack gives its reason in one word. Anything else may be a page that repeats the request.
        is_word = re.fullmatch(r"[a-z_]{3,40}", reason) and reason not in self._url.get_secret_value()
        text = f"HTTP {status} {reason}" if is_word else f"HTTP {status}"
        if status >= 500 or status in _WORTH_RETRYING:
            return Answer(Outcome.FAILED, text, status in _UNSURE_STATUSES, _wait(retry_after, now))
        if 300 <= status < 400:
            text += ", a redirection, which is not followed"
        return Answer(Outcome.REFUSED, text)


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of the answer's body, as far as it comes: what counts is the status."""
    from urllib3 import exceptions

    try:
        return answer.read(200)
    except (exceptions.HTTPError, OSError):
        return b""


def _wait(header: str | None, now: datetime) -> timedelta | None:
    """The pause that the receiver requires, at most an hour; None when it states none."""
    from ingestion.http.retry import retry_after

    required = retry_after(header, now)
    return None if required is None else min(required, _LONGEST_WAIT)


def _ascii(text: str) -> str:
    """Symbols may be of any script, headers may not."""
    return text.encode("ascii", "backslashreplace").decode()


@contextmanager
def _silenced() -> Iterator[None]:
    """urllib3 logs the path of each request when its debug log is on."""
    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
