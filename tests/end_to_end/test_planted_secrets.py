"""A secret in every address and credential, commands that succeed and commands that fail, and a search for what leaked:
in what they print, and in every file they leave, databases included."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest

from ingestion.simulator.simulated import SimulationSummary, simulate
from tests.support.archives import ArchiveFolder, ArchiveServer
from tests.support.commands import Taker
from tests.support.hostile_server import BEHAVIOURS, HostileServer

LAST_DAY = date(2026, 6, 30)

# One for each place, so that a finding names it. The `%2F` and `@` are what a person's password may hold.
SECRETS = {
    name: f"planted-{name}-s3cr3t"
    for name in ("archive", "rest", "live", "postgres", "webhook", "key-id", "key", "token", "endpoint", "storage")
}
QUOTED = quote("sl/ash@planted-quoted-s3cr3t", safe="")


def spellings() -> dict[bytes, str]:
    """How each secret may be written: as it is, and as Basic authentication writes it."""
    found = {text.encode(): name for name, text in SECRETS.items()}
    found |= {b"planted-quoted-s3cr3t": "quoted"}
    for name, text in SECRETS.items():
        found[base64.b64encode(f"user:{text}".encode())] = f"{name} (Basic)"
    return found


@dataclass
class Installation:
    """A state folder, and everything that commands on it have printed."""

    taker: Taker
    printed: list[tuple[str, str]] = field(default_factory=list)

    def run(self, *arguments: str, code: int | None = None, **settings: str) -> str:
        done = self.taker.run(*arguments, **settings)
        text = done.stdout + done.stderr
        self.printed.append((" ".join(arguments), text))
        assert code is None or done.returncode == code, text
        return text

    def leaks(self) -> list[str]:
        """Where a secret was found."""
        wanted = spellings()
        found = [
            f"{name} in the output of `taker {command}`"
            for command, text in self.printed
            for secret, name in wanted.items()
            if secret in text.encode()
        ]
        for path in sorted(self.taker.storage.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                if path.suffix == ".duckdb":
                    content += _texts(path)
                found += [f"{name} in {path}" for secret, name in wanted.items() if secret in content]
        return found


def _texts(database: Path) -> bytes:
    """Every text of a DuckDB file, which packs them."""
    texts = []
    with contextlib.suppress(duckdb.IOException), duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() where not internal "
            "and (data_type like 'VARCHAR%' or data_type = 'JSON')"
        ).fetchall()
        for schema, table, column in columns:
            with contextlib.suppress(duckdb.Error):
                rows = connection.execute(f'select distinct "{column}"::varchar from "{schema}"."{table}"').fetchall()
                texts += [str(row[0]) for row in rows]
    return "\n".join(texts).encode()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    root = tmp_path_factory.mktemp("planted") / "archive"
    return simulate(root, last_day=LAST_DAY, days=8, trades_days=7, rows_per_day=240)


@pytest.fixture
def installation(simulated: SimulationSummary, tmp_path: Path) -> Iterator[Installation]:
    """Every address and credential that can hold a secret holds one; the archive is reached with its own."""
    with ArchiveServer(ArchiveFolder(simulated.root)).running() as server:
        userinfo = f"user:{SECRETS['archive']}"
        settings = {
            "TAKER_MARKETS": simulated.markets[0],
            "TAKER_ARCHIVE_URL": server.url.replace("://", f"://{userinfo}@"),
            "TAKER_FIRST_DAY": str(simulated.first_day),
            "TAKER_VENUE_URLS": ",".join(
                [
                    f"binance_um.rest=http://user:{SECRETS['rest']}@127.0.0.1:1",
                    f"binance_um.live=ws://user:{SECRETS['live']}@127.0.0.1:1",
                    f"okx.archive=http://user:{QUOTED}@127.0.0.1:1",
                ]
            ),
            "TAKER_ALERT_WEBHOOK_URL": f"http://127.0.0.1:1/services/{SECRETS['webhook']}",
            "AWS_ACCESS_KEY_ID": SECRETS["key-id"],
            "AWS_SECRET_ACCESS_KEY": SECRETS["key"],
            "AWS_SESSION_TOKEN": SECRETS["token"],
        }
        yield Installation(Taker(tmp_path / "var", settings))


def test_no_secret_of_an_address_is_printed_or_stored_by_commands_that_succeed_or_fail(
    installation: Installation, simulated: SimulationSummary
) -> None:
    run = installation.run
    days = ("run", "--from", str(simulated.first_day), "--to", str(LAST_DAY))
    run(*days, "--json", code=0)
    # Its publication fails at PostgreSQL, after everything else.
    refused = f"postgresql://user:{SECRETS['postgres']}@127.0.0.1:1/marts"
    assert "PostgreSQL at 127.0.0.1" in run(*days, code=1, publish_postgres_url=refused)
    run("status", "--json")
    run("alerts", "--json")
    run("collect", "--venues", "binance_um", "--seconds", "0.5", code=1)

    # Archives that fail in several ways, and addresses that cannot be used.
    nowhere = f"http://user:{SECRETS['archive']}@127.0.0.1:1"
    assert "cannot be reached" in run(*days, "--debug", code=1, archive_url=nowhere)
    with HostileServer(BEHAVIOURS["sends a web page"]).running() as server:
        run(*days, "--json", code=1, archive_url=server.url.replace("://", f"://user:{SECRETS['archive']}@"))
    run("run", "--markets", "okx:BTC-USDT-SWAP", code=1)
    assert installation.leaks() == []
    # The search finds what is there: the archive's host without its password, in Dagster's databases.
    assert any(b"***@127.0.0.1" in path.read_bytes() for path in installation.taker.storage.rglob("*.db"))


def test_no_secret_of_s3_is_printed_or_stored(installation: Installation, tmp_path: Path) -> None:
    """A server that is not there; the profile of dbt is written before anything is read from it."""
    s3 = {"storage_url": "s3://bucket/prefix", "state_dir": str(installation.taker.storage)}
    environment = installation.taker.environment
    environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    assert "AWS_ENDPOINT_URL" in installation.run("run", code=1, **s3)
    environment["AWS_ENDPOINT_URL"] = f"http://user:{SECRETS['endpoint']}@127.0.0.1:1"
    assert "it holds a user or password" in installation.run("run", code=2, **s3)
    assert installation.leaks() == []
