"""Which requests reach Dagster's web server.

Belongs here: the rules about Host, Origin, method and content type, the sentence of a refusal, headers that protect
every answer; all of it as a plain ASGI application around another. Does not: Dagster, or how the server is started
(`orchestration.runs.webserver`).

Dagster's server has no authentication, carries out a mutation in the query of a GET request, and checks neither which
host a request is for nor which page sent it. A page of any web site that its user has open could therefore start runs:
by an image whose address is a mutation, by a form, by a WebSocket, or under a host name of its own that it lets point
to 127.0.0.1 (DNS rebinding). So:

- Host must be this server on the loopback interface, or one of TAKER_UI_ALLOWED_HOSTS;
- Origin, where a browser sends one, must be such a host too, for WebSockets as well;
- what another site embeds is refused (Sec-Fetch-Site), while a link to a page is followed;
- everything that can change something is a POST of `application/json`, which no page can send to another site without
  the permission that this server never gives. Dagster itself would take `text/plain; application/json`.

Programs that are no browsers send neither Origin nor Sec-Fetch-Site and are not hindered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from typing import Any, Final, NamedTuple

from orchestration.config.hosts import Authority, authority

Message = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_READS: Final = ("GET", "HEAD")
_JSON: Final = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_SHOWN: Final = 100
# Beside Dagster's own policy: no other page shows this one in a frame (and steals its clicks), or embeds its answers.
_HEADERS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_HEADERS_WHEN_MISSING: Final = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"))


class Refusal(NamedTuple):
    """An answer other than the server's: status and sentence."""

    status: int
    sentence: str


def guarded(app: Application, allowed_hosts: Iterable[str]) -> Application:
    """`app`, reached only by requests that `refusal` has nothing against. `allowed_hosts`: `host` or `host:port`."""
    extra = frozenset(authority(host) for host in allowed_hosts)

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
            return
        refused = refusal(scope, extra)
        if refused is None:
            await app(scope, receive, _protecting(send))
        elif scope["type"] == "http":
            await _answer(send, "http.response", refused)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await _answer(send, "websocket.http.response", refused)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": refused.sentence[:120]})

    return guard


def refusal(scope: Message, extra: frozenset[Authority]) -> Refusal | None:
    """Why this request must not reach the server; None when it may. `extra`: hosts beside the loopback ones."""
    port = (scope.get("server") or (None, None))[1]
    names = [name if port in (None, 80) else f"{name}:{port}" for name in _LOOPBACK]
    allowed = frozenset(map(authority, names)) | extra
    return (
        _of_the_host(scope, allowed, names)
        or _of_the_origin(scope, allowed, names)
        or (_of_the_method(scope) if scope["type"] == "http" else None)
    )


def _of_the_host(scope: Message, allowed: frozenset[Authority], names: list[str]) -> Refusal | None:
    hosts = _values(scope, b"host")
    if len(hosts) == 1 and _parsed(hosts[0]) in allowed:
        return None
    return Refusal(
        403,
        f"refused: the request is for the host {_shown(hosts)}, and this server is {' or '.join(names)}. Behind a "
        "proxy of your own, name its host in TAKER_UI_ALLOWED_HOSTS.",
    )


def _of_the_origin(scope: Message, allowed: frozenset[Authority], names: list[str]) -> Refusal | None:
    for origin in _values(scope, b"origin"):
        scheme, _, host = origin.partition("://")
        if scheme not in ("http", "https") or _parsed(host) not in allowed:
            return Refusal(
                403,
                f"refused: the request comes from a page of {_shown([origin])}, and only pages of this server may send "
                "one. Behind a proxy of your own, name its host in TAKER_UI_ALLOWED_HOSTS.",
            )
    embedded = any(site in ("cross-site", "same-site") for site in _values(scope, b"sec-fetch-site"))
    is_link = _values(scope, b"sec-fetch-mode") == ["navigate"] and scope.get("method") in _READS
    if embedded and not (is_link and not _is_graphql(scope)):
        return Refusal(403, f"refused: a page of another site requested it; open http://{names[0]} itself.")
    return None


def _of_the_method(scope: Message) -> Refusal | None:
    method = scope["method"]
    if method == "POST":
        types = _values(scope, b"content-type")
        if len(types) == 1 and _JSON.fullmatch(types[0].strip()):
            return None
        return Refusal(
            415, f"refused: a POST of {_shown(types)}; send the query as JSON, with Content-Type: application/json."
        )
    if method not in _READS:
        return Refusal(405, f"refused: {_shown([method])} is not used here; send queries by POST, as JSON.")
    # Dagster answers a browser that opens this address with a page to write queries on, and executes nothing.
    is_page = "text/html" in next(iter(_values(scope, b"accept")), "")
    if _is_graphql(scope) and not is_page:
        return Refusal(405, "refused: GraphQL by GET, which any web page could send; send it by POST, as JSON.")
    return None


def _is_graphql(scope: Message) -> bool:
    return str(scope["path"]).rstrip("/").endswith("/graphql")


def _values(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _parsed(host: str) -> Authority | None:
    try:
        return authority(host)
    except ValueError:
        return None


def _shown(values: list[str]) -> str:
    plain = (value.encode("ascii", "backslashreplace").decode()[:_SHOWN] for value in values)
    return " and ".join(f"`{value}`" for value in plain) or "none"


async def _answer(send: Send, kind: str, refused: Refusal) -> None:
    body = f"{refused.sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        # The body of the request was not read.
        (b"connection", b"close"),
        *_HEADERS,
        *_HEADERS_WHEN_MISSING,
    ]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _protecting(send: Send) -> Send:
    async def protecting(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            missing = [(name, value) for name, value in _HEADERS_WHEN_MISSING if name not in present]
            message = {**message, "headers": [*headers, *_HEADERS, *missing]}
        await send(message)

    return protecting
