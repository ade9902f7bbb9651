"""Serve the dashboard: `make superset`.

Belongs here: which publication is shown, Superset's home under the state folder, its secrets, its process.
Does not: Superset's configuration (`superset_config.py`, `dashboard/`), how it is installed (the Makefile).

Runs in the project's venv and starts Superset in its own, `.venv-superset`: their pins clash.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import yaml

from ingestion.domain.redaction import redacted
from orchestration.config.marts import Marts
from orchestration.config.settings import SettingsError, load_settings
from orchestration.runs.demo import demo_settings
from orchestration.serving.published import REFUSED, NothingPublished, PublicationUnreadable, connect, named, opening

HERE: Final = Path(__file__).resolve().parent
BUNDLE: Final = HERE / "dashboard"
VENV: Final = HERE.parents[1] / ".venv-superset"
DATABASE: Final = "databases/taker.yaml"
DASHBOARD: Final = "dashboards/taker.yaml"


class NothingToServe(Exception):
    """There is no publication, or no Superset. The text states what to do."""


def main() -> None:
    """Command line: `serve.py [--port N] [--demo]`."""
    options = argparse.ArgumentParser(description="Superset over the published marts, on 127.0.0.1.")
    options.add_argument("--port", type=_port, default=8088)
    options.add_argument("--demo", action="store_true", help="the demo's data, even when real data is published")
    chosen = options.parse_args()
    try:
        marts = published(demo=chosen.demo)
        home = load_settings().state_dir / "superset"
        serve(marts, home, chosen.port)
    except (NothingToServe, SettingsError, PublicationUnreadable) as error:
        sys.exit(f"error: {redacted(str(error))}")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"`{text}` is no port; write 1 to 65535")
    return int(text)


def published(*, demo: bool = False) -> Marts:
    """What to show: real data when it is published, else the demo's. PublicationUnreadable."""
    for marts in (*([] if demo else [load_settings().marts]), demo_settings().marts):
        with contextlib.suppress(NothingPublished), connect(marts):
            return marts
    raise NothingToServe("nothing is published yet; run `make demo` or `make run` first")


def serve(marts: Marts, home: Path, port: int) -> None:
    """Prepare Superset's home and replace this process by its server."""
    gunicorn = VENV / "bin" / "gunicorn"
    if not gunicorn.is_file():
        raise NothingToServe("Superset is not installed; `make superset` does it")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _secret(home / "secret_key", 42)
    secret = home / "admin_password"
    password, is_new = _secret(secret, 18)
    environment = superset_environment(marts, home)
    prepare(marts, home, password, environment)
    # The address answers a few seconds later: Superset takes that long to start.
    print(f"Taker's dashboard: http://127.0.0.1:{port}/superset/dashboard/taker/", flush=True)
    print(f"numbers            {named(marts)}", flush=True)
    print(f"user               admin, password {password if is_new else f'as in {secret}'}", flush=True)
    command = [
        str(gunicorn),
        # One process: SQLite is the metadata database. Threads, so that charts do not wait for each other.
        *("--workers", "1", "--worker-class", "gthread", "--threads", "8"),
        *("--bind", f"127.0.0.1:{port}", "--timeout", "120", "--log-level", "warning"),
        "superset.app:create_app()",
    ]
    os.execve(command[0], command, environment)


def superset_environment(marts: Marts, home: Path) -> dict[str, str]:
    """What Superset's processes get: its configuration, telemetry off, and none of Taker's addresses and credentials,
    which it does not need and could log; but for those of a lake, in the statements that open it."""
    foreign = ("SUPERSET_", "PYTHONPATH", "TAKER_", "AWS_", "DAGSTER_")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return outside | {
        "FLASK_APP": "superset.app:create_app()",
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SUPERSET_OPENING": json.dumps(opening(marts, "marts")),
        "SUPERSET_REFUSED": REFUSED.pattern,
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
    }


def prepare(marts: Marts, home: Path, password: str, environment: dict[str, str]) -> None:
    """Migrate and import, unless exactly this has been done in this home before."""
    bundle = write_bundle(marts, home / "taker-dashboard.zip")
    wanted = hashlib.sha256()
    for part in (bundle.read_bytes(), (HERE / "requirements.lock").read_bytes(), password.encode()):
        wanted.update(hashlib.sha256(part).digest())
    stamp = home / ".prepared"
    if stamp.is_file() and stamp.read_text() == wanted.hexdigest():
        return
    print("Preparing Superset (under a minute on the first time)", flush=True)
    log = home / "prepare.log"
    with log.open("w") as output:
        done = subprocess.run(
            [str(VENV / "bin" / "python"), str(HERE / "prepare.py"), str(bundle)],
            input=password,
            text=True,
            env=environment,
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise NothingToServe(f"Superset could not be prepared; the reason is at the end of {log}")
    stamp.write_text(wanted.hexdigest())


def write_bundle(marts: Marts, target: Path) -> Path:
    """The dashboard as the zip that `superset import-dashboards` takes, pointed at `marts`; a pure function of both."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            name = path.relative_to(BUNDLE).as_posix()
            text = path.read_text()
            if name == DATABASE:
                text = yaml.safe_dump(yaml.safe_load(text) | {"sqlalchemy_uri": _uri(marts)})
            elif name == DASHBOARD and _is_simulated(marts):
                content = yaml.safe_load(text)
                title = f"SIMULATED · {content['dashboard_title']}"
                content["dashboard_title"] = title
                content["position"]["HEADER_ID"]["meta"]["text"] = title
                text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            bundle.writestr(zipfile.ZipInfo(f"taker/{name}"), text)
    return target


def _uri(marts: Marts) -> str:
    """Of the file. Of the lake there is none: its statements make every connection, whatever the address is."""
    return f"duckdb:///{marts.absolute()}" if isinstance(marts, Path) else "duckdb:///:memory:"


def _is_simulated(marts: Marts) -> bool:
    with connect(marts) as connection:
        found = connection.execute("select coalesce(bool_or(is_simulated), false) from dim_markets").fetchone()
    return bool(found and found[0])


def _secret(path: Path, size: int) -> tuple[str, bool]:
    """The secret in `path`, readable by this user alone; made when it is not there. True when it is new."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip(), False
    text = secrets.token_urlsafe(size)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return text, True


if __name__ == "__main__":
    main()
