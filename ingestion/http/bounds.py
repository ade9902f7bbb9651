"""What a server may cost: the limits of every request, each with its reason, in one place.

Belongs here: bytes, seconds and the floor of throughput, by the kind of answer. Does not: enforcing them
(`ingestion.http.watch`), the rate limits of venues (`ingestion.http.limits`), or pauses between attempts
(`ingestion.http.retry`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# To resolve a name and connect to one of its addresses, TLS included: three times what a satellite link needs.
CONNECT_SECONDS: Final = 10.0
# Before a run starts, for all archives together: with the start of the program, no network is reported in 15 s.
PREFLIGHT_SECONDS: Final = 8.0
# http.client reads up to 100 headers; those of the archives have less than 2 KiB.
MOST_HEADER_BYTES: Final = 256 << 10
# A mirror redirects once or twice (to TLS, to a region).
MOST_REDIRECTS: Final = 5
# One archive file, all attempts and pauses together: what a link of 5 Mbit/s needs for the largest file accepted.
FILE_SECONDS: Final = 1800.0


@dataclass(frozen=True)
class Bounds:
    """The limits of one kind of answer.

    `most_bytes`: of the body. `answer_seconds`: from sending the request to the end of the headers. `silence_seconds`:
    without a single byte. `attempt_seconds`: one attempt, to the last byte. `seconds`: all attempts and pauses
    together. `floor`: bytes per second that must arrive in any `floor_seconds` of waiting for a body.
    """

    most_bytes: int
    answer_seconds: float
    silence_seconds: float
    attempt_seconds: float
    seconds: float
    floor: int = 0
    floor_seconds: float = 30.0


# A checksum, a marker, a HEAD: one line. An answer that is longer is cut, and then is no checksum.
SMALL: Final = Bounds(4096, answer_seconds=20, silence_seconds=20, attempt_seconds=30, seconds=120)
# The largest file of any archive (single trades of BTCUSDT on the busiest days) has less than 300 MB. 8 KiB/s is a
# thirtieth of a 2G link: slower is not a slow link but a server that holds the worker.
FILE: Final = Bounds(
    1 << 30,
    answer_seconds=30,
    silence_seconds=30,
    attempt_seconds=FILE_SECONDS,
    seconds=FILE_SECONDS,
    floor=8 << 10,
)
# A page of 1,000 objects has less than 500 KiB.
LISTING: Final = Bounds(4 << 20, answer_seconds=10, silence_seconds=10, attempt_seconds=20, seconds=40)
# The largest answer of a REST API (every instrument of a venue) has less than 5 MB.
REST: Final = Bounds(
    32 << 20, answer_seconds=20, silence_seconds=20, attempt_seconds=60, seconds=600, floor=1 << 10, floor_seconds=15
)
