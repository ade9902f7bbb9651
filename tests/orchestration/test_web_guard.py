"""The guard before Dagster's web server: which requests pass, and the sentence of those that do not."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib import import_module
from typing import Any

import pytest

from orchestration.compat import webserver
from orchestration.config.settings import Settings, SettingsError, load_settings
from orchestration.runs.web_guard import guarded

HOST = "127.0.0.1:3000"
JSON = "application/json"
HTML = "text/html,application/xhtml+xml"


def answer(
    method: str = "GET", path: str = "/runs", kind: str = "http", allowed: tuple[str, ...] = (), **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers that a browser gets. `headers`: names with _ for -; 200: Dagster was reached."""
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "server": ("127.0.0.1", 3000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
        "extensions": {"websocket.http.response": {}},
    } | ({"method": method} if kind == "http" else {})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the body of a refused request is not read")

    async def dagster(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Referrer-Policy", b"own")]})
        await send({"type": "http.response.body", "body": b"answered"})

    asyncio.run(guarded(dagster, allowed)(scope, receive, send))
    seen = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], sent[1]["body"].decode(), seen


def test_pages_and_queries_of_the_ui_itself_pass() -> None:
    for host in (HOST, "localhost:3000", "[::1]:3000", "LOCALHOST:3000"):
        assert answer(host=host)[0] == 200
        assert answer("POST", "/graphql", host=host, origin=f"http://{host}", content_type=JSON)[0] == 200
        assert answer(kind="websocket", path="/graphql", host=host, origin=f"http://{host}")[0] == 200
    assert answer("POST", "/graphql", content_type="application/json; charset=utf-8")[0] == 200
    assert answer(path="/graphql", accept=HTML)[0] == 200
    assert answer(sec_fetch_site="same-origin", sec_fetch_mode="cors")[0] == 200
    assert answer(sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200, "a link in a message"


@pytest.mark.parametrize(
    "host",
    ["evil.example:3000", "evil.example", "127.0.0.1.evil.example:3000", "127.0.0.1", "127.0.0.1:3001", "localhost",
     "127.0.0.1:3000@evil.example", "localhost:3000 ", "localhost:03000x", "0.0.0.0:3000", "\xe9.example", ""],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_foreign_host_is_refused_whatever_it_resolves_to(host: str, kind: str) -> None:
    status, sentence, _ = answer(kind=kind, host=host)
    assert status == 403
    assert "127.0.0.1:3000" in sentence
    assert "TAKER_UI_ALLOWED_HOSTS" in sentence


def test_two_hosts_are_none() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "server": ("127.0.0.1", 3000), "extensions": {}}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def unreachable(*_: Any) -> None:
        raise AssertionError("Dagster was reached")

    both = [(b"host", HOST.encode()), (b"host", b"evil.example")]
    asyncio.run(guarded(unreachable, ())({**scope, "headers": both}, unreachable, send))
    assert sent[0]["status"] == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://evil.example:3000", "null", "http://127.0.0.1:8888", "http://localhost",
     "http://127.0.0.1:3000.evil.example", "file://", "chrome-extension://abc", "127.0.0.1:3000"],
)  # fmt: skip
@pytest.mark.parametrize("request_", [("GET", "/runs"), ("POST", "/graphql"), ("websocket", "/graphql")])
def test_a_request_of_a_foreign_page_is_refused(origin: str, request_: tuple[str, str]) -> None:
    method, path = request_
    kind = "websocket" if method == "websocket" else "http"
    status, sentence, _ = answer(method, path, kind, origin=origin, content_type=JSON)
    assert status == 403
    assert origin in sentence


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/avif,image/webp", ""])
def test_graphql_by_get_is_refused_with_or_without_an_origin(path: str, accept: str) -> None:
    status, sentence, _ = answer("GET", path, accept=accept)
    assert status == 405
    assert "by POST, as JSON" in sentence


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql",
     "text/plain; application/json", "text/plain;charset=application/json", "application/jsonp",
     "application/json, text/plain"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/published/marts"])
def test_what_a_form_can_send_is_refused(content_type: str, path: str) -> None:
    status, sentence, _ = answer("POST", path, content_type=content_type)
    assert status == 415
    assert "application/json" in sentence


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_no_other_method_is_used_and_no_page_is_given_permission(method: str) -> None:
    status, _, headers = answer(method, "/graphql", content_type=JSON)
    assert status == 405
    assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_is_refused_and_so_is_its_link_to_a_query(site: str) -> None:
    assert answer(path="/logs/x.err", sec_fetch_site=site, sec_fetch_mode="no-cors")[0] == 403
    assert answer(path="/graphql", sec_fetch_site=site, sec_fetch_mode="navigate", accept=HTML)[0] == 403
    assert answer("POST", sec_fetch_site=site, sec_fetch_mode="navigate", content_type=JSON)[0] == 403


def test_no_page_may_show_an_answer_in_a_frame() -> None:
    for _, _, headers in (answer(), answer(host="evil.example")):
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == "frame-ancestors 'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert answer()[2]["referrer-policy"] == "own"


def test_a_proxy_of_ones_own_is_named_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_UI_ALLOWED_HOSTS", "Taker.example, localhost:8443")
    allowed = load_settings().ui_allowed_hosts
    for host in ("taker.example", "taker.example:443", "localhost:8443", HOST):
        assert answer(host=host, origin=f"https://{host}", allowed=allowed)[0] == 200
    for host in ("taker.example:8443", "a.taker.example", "localhost:8444"):
        assert answer(host=host, allowed=allowed)[0] == 403


@pytest.mark.parametrize(
    "value", ["https://taker.example", "*", "*.example", "taker.example/", "a b", "a:0", "a:70000"]
)
def test_a_host_that_is_none_is_a_sentence(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TAKER_UI_ALLOWED_HOSTS", value)
    with pytest.raises(SettingsError, match=r"TAKER_UI_ALLOWED_HOSTS.*is no host"):
        load_settings()


def test_the_web_server_reads_the_hosts_that_the_command_line_was_given(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    for hosts, written in (((), "off"), (("taker.example",), "taker.example")):
        environment = settings.model_copy(update={"ui_allowed_hosts": hosts}).environment()
        assert environment["TAKER_UI_ALLOWED_HOSTS"] == written
        monkeypatch.setenv("TAKER_UI_ALLOWED_HOSTS", written)
        assert load_settings().ui_allowed_hosts == hosts


class TestAnotherDagster:
    """A version that starts its server in another way is not served without the guard."""

    def test_dev_replaces_both_processes_and_starts_no_unknown_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        dev: Any = import_module("dagster._cli.dev")
        started: list[Any] = []
        monkeypatch.setattr(dev, "open_ipc_subprocess", lambda parts, **_: started.append(list(parts)))
        monkeypatch.setattr(dev.dev_command, "main", lambda **_: None)
        webserver.dev([], web_server="our.server", daemon="our.daemon")
        dev.open_ipc_subprocess([sys.executable, "-m", "dagster_webserver", "--port", "1"])
        dev.open_ipc_subprocess([sys.executable, "-m", "dagster._daemon", "run"])
        assert [parts[1:] for parts in started] == [["-m", "our.server", "--port", "1"], ["-m", "our.daemon", "run"]]
        for parts in ([sys.executable, "-m", "dagster_webserver2"], ["dagster-daemon", "-m", "dagster._daemon"]):
            with pytest.raises(webserver.UnknownDagster, match="nothing is served"):
                dev.open_ipc_subprocess(parts)

    def test_an_application_that_was_made_elsewhere_is_not_served(self, monkeypatch: pytest.MonkeyPatch) -> None:
        uvicorn: Any = import_module("uvicorn")
        cli: Any = import_module("dagster_webserver.cli")
        served: list[Any] = []
        monkeypatch.setattr(uvicorn, "run", lambda app, **_: served.append(app))
        monkeypatch.setattr(cli, "create_app_from_workspace_process_context", lambda: "app")

        def as_today() -> None:
            uvicorn.run(cli.create_app_from_workspace_process_context())

        monkeypatch.setattr(cli, "main", as_today)
        webserver.serve(lambda app: ("guarded", app))
        assert served == [("guarded", "app")]
        monkeypatch.setattr(cli, "main", lambda: uvicorn.run("another"))
        with pytest.raises(webserver.UnknownDagster):
            webserver.serve(lambda app: ("guarded", app))
        assert len(served) == 1


def test_the_daemon_looks_for_backfills_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster reads a constant of its own in each round: were it read elsewhere, half a minute would be waited."""
    waited: list[float] = []

    class Ends(Exception):
        """Ends a loop that has no other end."""

    class Shutdown:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            raise Ends

    monkeypatch.setattr("dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS", 30)
    monkeypatch.setattr("dagster._daemon.cli.main", lambda: None)
    webserver.run_daemon(4)
    loop = import_module("dagster._daemon.backfill").execute_backfill_iteration_loop
    nothing_works: Any = None  # a round that fails waits like any other
    with pytest.raises(Ends):
        list(loop(nothing_works, logging.getLogger("quiet"), Shutdown()))
    assert waited == [pytest.approx(4, abs=1)]
