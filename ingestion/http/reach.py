"""Whether any server answers at an address: one question before a run, with a short limit.

Belongs here: that question. Does not: requests for objects (`ingestion.http.fetch`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from ingestion.http.bounds import SMALL
from ingestion.http.client import HttpClient
from ingestion.http.watch import Rejected, Unreachable, Untrusted

# Between the two attempts to reach a server at all.
_AGAIN_SECONDS: Final = 1.0


def unreachable_reason(url: str, seconds: float) -> str | None:
    """Why no server answers at an address within `seconds`; None when one does, whatever it answers.

    A connection that fails at once is tried again: a name server or a link may be a moment behind.
    """
    client = HttpClient(connections=1, connect_seconds=seconds)
    deadline = time.monotonic() + seconds
    bounds = replace(SMALL, answer_seconds=seconds, silence_seconds=seconds, attempt_seconds=seconds)
    reason = None
    try:
        for _ in range(2):
            left = max(0.1, deadline - time.monotonic())
            try:
                with client.stream("HEAD", f"{url.rstrip('/')}/", bounds, left):
                    return None
            except Untrusted as error:
                return str(error)
            except Rejected:
                return None  # it answers: what is not accepted is reported for its objects
            except Unreachable as error:
                reason = str(error)
            if deadline - time.monotonic() < _AGAIN_SECONDS:
                break
            time.sleep(_AGAIN_SECONDS)
    finally:
        client.close()
    return reason
