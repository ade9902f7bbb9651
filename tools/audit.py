"""Known vulnerabilities of the locked packages, as part of `make lint`.

Belongs here: running pip-audit over the locks, and what counts as a failure: a vulnerability, not a missing network.
Does not: which versions are locked (`make lock`).

    python -m tools.audit

The database queried is OSV: it takes names and versions, and nothing is resolved, downloaded or installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = (
    ROOT / "requirements.lock",
    ROOT / "requirements-spark.lock",
    ROOT / "bi" / "superset" / "requirements.lock",
)
_PIP_AUDIT: Final = (sys.executable, "-m", "pip_audit")
_OPTIONS: Final = ("--vulnerability-service=osv", "--format=json", "--progress-spinner=off", "--timeout=5")
_SECONDS: Final = 120.0
_WITH_NETWORK: Final = "run `make lint` again with a network"
_INSTALLED: Final = "`make setup` installs it"


class NotAudited(Exception):
    """Nothing is known about the packages. The text states why, and what to do."""


def vulnerable(lock: Path, command: Sequence[str] = _PIP_AUDIT, seconds: float = _SECONDS) -> list[str]:
    """A line per locked package with known vulnerabilities. NotAudited when the database could not be queried."""
    options = [*_OPTIONS, "--disable-pip", "--require-hashes", f"--requirement={lock}"]
    try:
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise NotAudited(f"the database did not answer within {seconds:.0f} s; {_WITH_NETWORK}") from None
    except OSError as error:
        raise NotAudited(f"{command[0]} cannot be started: {error.strerror}; {_INSTALLED}") from None
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or [f"pip-audit ended with exit code {done.returncode}"])[-1]
        if "No module named" in last:
            raise NotAudited(f"pip-audit is not installed; {_INSTALLED}") from None
        reason = "the database cannot be reached" if "Connect" in last else last[:200]
        raise NotAudited(f"{reason}; {_WITH_NETWORK}") from None
    return [
        f"{lock.relative_to(ROOT) if lock.is_relative_to(ROOT) else lock}: {package['name']} {package['version']}: "
        + ", ".join(
            fault["id"] + (f" (fixed in {', '.join(fault['fix_versions'])})" if fault["fix_versions"] else "")
            for fault in package["vulns"]
        )
        for package in packages
        if package.get("vulns")
    ]


def main(locks: Sequence[Path] = LOCKS, command: Sequence[str] = _PIP_AUDIT) -> int:
    """1 when a locked version is known to be vulnerable, else 0."""
    found: list[str] = []
    for lock in locks:
        try:
            found += vulnerable(lock, command)
        except NotAudited as reason:
            print(f"the locked packages were not audited: {reason}")
            break
    for line in found:
        print(line)
    if found:
        print("raise the bounds in pyproject.toml, or wait for a fixed version, and run `make lock`")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
