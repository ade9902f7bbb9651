"""Absurd values for every argument and option of every command: a sentence and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main
from typer.testing import CliRunner

from orchestration.cli.app import app
from tests.support.claimed import publish_for_claims

# `taker claim` answers with 1 and 2, also that the data cannot tell; what is no answer is 3.
CLAIM = (1, 2, 3)

MARKETS = (
    "../../etc/passwd", "binance_um:../../etc", "binance_um:..", "binance_um:BTC/USDT", "binance_um:BTC USDT",
    "BTC\nUSDT", "binance_um:BTC\n", "binance_um:'; drop table dim_markets; --", 'binance_um:"BTCUSDT"', "binance_um:",
    ":", ",,,", "-", "binance_um:" + "A" * 5000, "binance_um:BTC\x00USDT", "binance_um:BTC\udce9", "[red]BTC[/red]",
    "<script>", "binance_um:BTC*", "binance_um:top0", "okx:*", "simulated_all:BTC", "all:BTC",
)  # fmt: skip
DAYS = (
    "", " ", "0000-01-01", "2024-02-30", "2024-13-01", "20240101", "-1", "2024-01-01T00:00", "2024-01-01\n", "now",
    "../x", "9999-12-31", "0001-01-01", "10000-01-01", "2024-01-0\x00", "2024-01-\udce9",
)  # fmt: skip
NUMBERS = ("", "-1", "0", "nan", "-inf", "0x10", "9" * 40, "²", "1;2", "\x00")


def refused() -> Iterator[tuple[str, ...]]:
    """Command lines of which none can be carried out."""
    for market in MARKETS:
        yield "run", "--markets", market, "--from", "2024-01-01", "--to", "2024-01-02"
        yield "brief", "--market", market
        yield "claim", "--market", market, "2024-03-15 bearish rank 1"
        yield "claim", f"{market} 2024-03-15 bearish"
        yield "collect", "--venues", market, "--seconds", "0.1"
        yield "sql", f"select * from '{market}'"
        yield "claim", "BTCUSDT 2024-03-15 rank 1", "--side", market
    for day in DAYS:
        yield "run", "--to", day
        yield "run", "--from", day, "--to", day
        yield "brief", "--date", day
        yield "claim", "binance_um:BTCUSDT bearish rank 1", "--date", day
        yield "claim", "binance_um:BTCUSDT 2024-03-15 bearish rank 1", "--as-of", day
        yield "claim", "binance_um:BTCUSDT bearish rank 1", "--from", day, "--to", "2024-03-15"
        yield "sql", "select 1", "--as-of", day
        yield "brief", "--as-of", day
    for day in ("0001-01-01", "9999-12-31", "2024-02-30", ""):
        yield "simulate", "out", "--last-day", day, "--days", "2", "--trades-days", "0"
    for first, last in (("2024-02-02", "2024-02-01"), ("2999-01-01", "2999-01-02"), ("0001-01-01", "0001-01-02")):
        yield "run", "--from", first, "--to", last
        yield "claim", "binance_um:BTCUSDT bearish rank 1", "--from", last, "--to", first
    for number in NUMBERS:
        yield "ui", "--port", number
        yield "claim", "binance_um:BTCUSDT 2024-03-15 bearish", "--rank", number
        if number != "9" * 40:  # it would receive for so long
            yield "collect", "--seconds", number
        yield "simulate", "out", "--days", number
        yield "simulate", "out", "--rows-per-day", number
        yield "simulate", "out", "--days", "1", "--trades-days", number if number != "0" else "-2"
        yield "claim", "binance_um:BTCUSDT 2024-03-15 bearish rank 1", "--days", number
        for option in ("--older-than", "--keep", "--datasets"):
            yield "merge-months", option, number
        yield "merge-months", "--older-than", f"{number}h"
    for market in MARKETS:
        yield "merge-months", "--markets", market
    for port in ("65536", "-3000", "http"):
        yield "ui", "--port", port
    for out in ("file", "file/below", "/proc/none", "a\x00b", "x" * 5000):
        yield "simulate", out, "--days", "1", "--trades-days", "0"
    for query in ("", " ", ";", "--", "\x00", "select '\udce9'", "select 1; select 2", "(" * 3000, "select $1"):
        yield "sql", query
    yield "sql", "select 1", "--records", "--json"
    yield "sql", "select 1", "--records", "--csv"
    for option in ("--parquet", "--excel"):
        for out in ("", ".", "file/below", "no/folder/f", "/proc/none", "a\x00b", "x" * 5000):
            yield "sql", "select 1", option, out


def by_command(name: str) -> list[tuple[str, ...]]:
    return [each for each in refused() if each[0] == name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty installation with a publication, whose archive is a port where nothing listens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAKER_ARCHIVE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TAKER_VENUE_URLS", "off")
    serving = tmp_path / "var" / "serving" / "marts.duckdb"
    serving.parent.mkdir(parents=True)
    publish_for_claims(serving)
    (tmp_path / "file").write_text("kept")
    return tmp_path


def fault_of(arguments: tuple[str, ...]) -> str | None:
    """What is wrong with how a command line is refused; None when nothing is."""
    done = CliRunner().invoke(app, list(arguments))
    allowed = CLAIM if arguments[0] == "claim" else (1, 2)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return f"{arguments}: {done.exception!r}"
    if done.exit_code not in allowed:
        return f"{arguments}: exit code {done.exit_code}: {done.output[-300:]}"
    if "--debug for the details" in done.stderr or "Traceback" in done.output:
        return f"{arguments}: {done.stderr.strip()[-300:]}"
    return None if done.stderr.strip() or "cannot tell" in done.stdout.lower() else f"{arguments}: no sentence"


@pytest.mark.parametrize("command", sorted({each[0] for each in refused()}))
def test_what_cannot_be_carried_out_is_refused_in_a_sentence(command: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    faults = [fault for each in by_command(command) if (fault := fault_of(each)) is not None]
    assert faults == []
    if command in ("sql", "brief", "claim", "ui"):
        assert sorted(folder.rglob("*")) == before
    assert (folder / "file").read_text() == "kept"


@pytest.mark.parametrize(
    "address",
    [
        "example.org",
        "ftp://x",
        "http://",
        "http://[",
        "http://x:99999",
        "file://",
        "file:///no/such",
        "http://a b",
        "x:",
    ],
)
def test_an_archive_address_that_is_none_is_refused_before_anything_runs(
    address: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKER_ARCHIVE_URL", address)
    assert fault_of(("run", "--from", "2024-01-01", "--to", "2024-01-01")) is None
    assert not (folder / "var" / "raw").exists()


def test_every_option_that_takes_a_value_is_given_absurd_ones() -> None:
    """A new option is to be added to `refused`."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    given = {(each[0], word) for each in refused() for word in each if word.startswith("--") and word.strip("-")}
    wanted = {
        (name, f"{parameter.opts[0]}")
        for name, command in group.commands.items()
        for parameter in command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False)
    }
    # Any integer is a seed.
    assert wanted - given - {("simulate", "--seed")} == set()
