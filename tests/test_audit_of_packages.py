"""`make lint` audits the locked packages: a vulnerability fails it, a missing network does not."""

from __future__ import annotations

import json
import sys
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
