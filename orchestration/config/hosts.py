"""Names of a web server as a browser sends them: `host` or `host:port`.

Belongs here: reading one, and the check of TAKER_UI_ALLOWED_HOSTS. Does not: which ones are accepted
(`orchestration.runs.web_guard`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")
# What a browser leaves out. Which of the two it was cannot be known behind a proxy that ends TLS.
_USUAL_PORTS: Final = (80, 443)

Authority = tuple[str, int | None]


def authority(text: str) -> Authority:
    """Host in lower case and port, None for the usual ones. ValueError for anything else than `host` or `host:port`."""
    found = _AUTHORITY.fullmatch(text)
    if not found or (found[2] and not 0 < int(found[2]) < 65536):
        raise ValueError(f"`{text}` is no host")
    port = int(found[2]) if found[2] else None
    return found[1].lower(), None if port in _USUAL_PORTS else port


def allowed_hosts(texts: Iterable[str]) -> tuple[str, ...]:
    """The hosts as written, each once. ValueError states what is allowed."""
    hosts = tuple(dict.fromkeys(texts))
    for text in hosts:
        try:
            authority(text)
        except ValueError:
            raise ValueError(
                f"`{text}` is no host; write the name that the browser shows, such as taker.example or "
                "taker.example:8443, without https:// and without patterns"
            ) from None
    return hosts
