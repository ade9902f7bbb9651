"""What each of our servers listens on, and what it logs: nothing beyond this machine, and no secret of an address."""

from __future__ import annotations

import logging
import re
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from mkdocs.config import load_config

from bi.superset import serve
from orchestration.compat.logs import redact_logs
from orchestration.config.settings import Settings
from orchestration.runs import ui
from tests.support.claimed import publish_for_claims

ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t"


class Replaced(Exception):
    """The process would have become another program."""


def replacing(path: str, arguments: list[str], environment: dict[str, str]) -> None:
    raise Replaced(arguments, environment)


def test_superset_binds_to_loopback_and_gets_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "gunicorn").touch()
    monkeypatch.setattr(serve, "VENV", venv)
    monkeypatch.setattr(serve, "prepare", lambda *_: None)
    monkeypatch.setattr("os.execve", replacing)
    for name in ("TAKER_ARCHIVE_URL", "TAKER_PUBLISH_POSTGRES_URL", "AWS_SECRET_ACCESS_KEY", "SUPERSET_SECRET"):
        monkeypatch.setenv(name, f"https://user:{SECRET}@host")
    with pytest.raises(Replaced) as replaced:
        serve.serve(publish_for_claims(tmp_path / "marts.duckdb"), tmp_path / "home", 8088)
    command, environment = replaced.value.args
    assert command[command.index("--bind") + 1] == "127.0.0.1:8088"
    assert command.count("--bind") == 1
    assert SECRET not in " ".join([*command, *environment.values()])


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8088;x", "²", ""])
def test_a_port_of_superset_that_is_none_is_wrong_usage(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["serve.py", f"--port={port}"])
    with pytest.raises(SystemExit) as ended:
        serve.main()
    assert ended.value.code == 2
    assert "write 1 to 65535" in capsys.readouterr().err


def test_superset_over_a_torn_publication_is_a_sentence(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = tmp_path / "marts.duckdb"
    torn.write_bytes(b"torn")
    monkeypatch.setattr("sys.argv", ["serve.py"])
    monkeypatch.setattr(serve, "load_settings", lambda: settings)
    monkeypatch.setattr(serve, "published", lambda **_: torn)
    monkeypatch.setattr(serve, "serve", lambda marts, *_: serve.write_bundle(marts, tmp_path / "bundle.zip"))
    with pytest.raises(SystemExit, match=r"cannot be read .* `taker run` sets it aside and publishes it anew"):
        serve.main()


def test_the_ui_binds_to_loopback(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ui, "_refuse_a_busy_port", lambda port: None)
    monkeypatch.setattr(ui, "ensure_manifest", lambda dbt: None)
    monkeypatch.setattr("os.execve", replacing)
    monkeypatch.setattr("os.chdir", lambda folder: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("DAGSTER_HOME", "")
    with pytest.raises(Replaced) as replaced:
        ui.serve(settings, 3000)
    command, _ = replaced.value.args
    assert command[command.index("-h") + 1] == "127.0.0.1"


def test_the_documentation_is_served_to_this_machine_alone() -> None:
    assert load_config(str(ROOT / "mkdocs.yml")).dev_addr.host == "127.0.0.1"
    served = re.findall(r"http\.server[^\n]*", (ROOT / "Makefile").read_text())
    assert served
    assert all("--bind 127.0.0.1" in command for command in served)


def test_no_handler_of_any_library_writes_the_secret_of_an_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logging.Handler, "format", logging.Handler.format)
    redact_logs()
    redact_logs()
    written = StringIO()
    handlers: list[logging.Handler] = [logging.StreamHandler(written), logging.FileHandler(tmp_path / "log")]
    logger = logging.getLogger("some.library")
    monkeypatch.setattr(logger, "handlers", handlers)
    try:
        raise OSError(f"https://user:{SECRET}@host failed")
    except OSError:
        logger.exception("no answer of %s", f"https://host/file?X-Amz-Signature={SECRET}&a=1")
    handlers[1].close()
    for text in (written.getvalue(), (tmp_path / "log").read_text()):
        assert "***@host failed" in text
        assert SECRET not in text


@pytest.mark.parametrize(
    ("process", "started"),
    [("webserver", "orchestration.runs.webserver.serve"), ("daemon", "dagster._daemon.cli.main")],
)
def test_the_processes_of_the_ui_start_with_logs_that_hold_no_secret(
    process: str, started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats: list[object] = []
    # Of a process that has just begun, whatever ran in this one before.
    monkeypatch.setattr(logging.Handler, "format", plain := object())
    monkeypatch.setattr(started, lambda *_: formats.append(logging.Handler.format))
    import_module(f"orchestration.runs.{process}").main()
    assert len(formats) == 1
    assert formats[0] is not plain
