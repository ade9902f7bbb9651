"""`make lint` audits the locked packages: a vulnerability fails it, a missing network does not."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools import audit


def standing_in(output: Any, error: str = "") -> tuple[str, ...]:
    """A program that answers as pip-audit does."""
    text = output if isinstance(output, str) else json.dumps(output)
    return (sys.executable, "-c", f"import sys; print({text!r}); print({error!r}, file=sys.stderr); sys.exit(1)")


def test_a_known_vulnerability_fails_and_names_package_and_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [{"id": "PYSEC-1", "fix_versions": ["2.0"]}, {"id": "GHSA-2", "fix_versions": []}]
    sound = {"name": "sound", "version": "1", "vulns": []}
    found = {"dependencies": [sound, {"name": "broken", "version": "1.0", "vulns": faults}]}
    assert audit.main([tmp_path / "requirements.lock"], standing_in(found)) == 1
    assert "broken 1.0: PYSEC-1 (fixed in 2.0), GHSA-2" in capsys.readouterr().out
    assert audit.main([tmp_path / "requirements.lock"], standing_in({"dependencies": [sound]})) == 0


@pytest.mark.parametrize(
    ("output", "error"), [("", "requests.exceptions.ConnectionError: …"), ("<html>", "503"), ("[]", ""), ("{}", "")]
)
def test_without_a_network_that_is_reported_and_nothing_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, error: str
) -> None:
    assert audit.main([tmp_path / "requirements.lock"], standing_in(output, error)) == 0
    assert "were not audited" in capsys.readouterr().out


def test_a_database_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    silent = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(audit.NotAudited, match="did not answer"):
        audit.vulnerable(tmp_path / "requirements.lock", silent, seconds=0.2)


@pytest.mark.parametrize("command", [(sys.executable, "-m", "pip_audit_missing"), ("/no/such/program",)])
def test_without_the_tool_a_sentence_states_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert audit.main([tmp_path / "requirements.lock"], command) == 0
    assert "`make setup` installs it" in capsys.readouterr().out


class TestThePipAuditThatIsLocked:
    """The real program, against a database on this machine."""

    @pytest.fixture
    def lock(self, tmp_path: Path) -> Path:
        path = tmp_path / "requirements.lock"
        path.write_text(f"idna==3.4 --hash=sha256:{'9' * 64}\nsix==1.16.0 --hash=sha256:{'8' * 64}\n")
        return path

    @contextlib.contextmanager
    def database(self, status: int, answers: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        """pip-audit with its database here, which answers with `answers` by package."""

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                queried = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(answers.get(queried["package"]["name"], {})).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield (sys.executable, "-m", "pip_audit", f"--osv-url=http://127.0.0.1:{server.server_port}/v1/query")
            server.shutdown()

    def test_a_vulnerability_fails_with_package_version_and_fix(
        self, lock: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        events = [{"introduced": "0"}, {"fixed": "3.7"}]
        affected = [
            {"package": {"name": "idna", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ]
        found = {"id": "PYSEC-2024-60", "summary": "slow", "affected": affected, "modified": "2024-01-01T00:00:00Z"}
        with self.database(200, {"idna": {"vulns": [found]}}) as command:
            assert audit.main([lock], command) == 1
        shown = capsys.readouterr().out
        assert "idna 3.4: PYSEC-2024-60 (fixed in 3.7)" in shown
        assert "six" not in shown

    def test_nothing_known_passes_without_a_word(self, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with self.database(200, {}) as command:
            assert audit.main([lock], command) == 0
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("status", [0, 503])
    def test_a_database_that_is_down_is_a_sentence_and_no_failure(
        self, status: int, lock: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with self.database(status or 200, {}) as command:
            gone = (*command[:-1], "--osv-url=http://127.0.0.1:1/v1/query")
            assert audit.main([lock], command if status else gone) == 0
        shown = capsys.readouterr().out
        assert "were not audited" in shown
        assert "with a network" in shown
        assert len(shown.splitlines()) == 1
