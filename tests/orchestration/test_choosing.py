"""`binance_um:top50` and `binance_um:*`: which markets they stand for, when that is decided, and what is recorded."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.domain.errors import ArchiveUnavailable, NotListed
from orchestration.config.choices import dropped_out, read_choices
from orchestration.config.errors import SettingsError
from orchestration.config.settings import Settings, load_settings
from orchestration.defs import choosing
from orchestration.defs.choosing import NothingToChoose, choose, due, month_to_choose_by
from tests.support.archives import KLINE_HEADER, ArchiveFolder, ArchiveServer, millis

MARCH, APRIL = date(2024, 4, 10), date(2024, 5, 10)


def traded(folder: ArchiveFolder, month: date, **usd: int) -> None:
    """Daily klines of the month in which each symbol traded so many USD."""
    for symbol, amount in usd.items():
        key = f"data/futures/um/monthly/klines/{symbol}/1d/{symbol}-1d-{month:%Y-%m}.zip"
        row = f"{millis(month)},100,110,90,105,10,{millis(month, 86_400) - 1},{amount},7,4,{amount // 2},0"
        folder.put(key, [row], KLINE_HEADER)


@pytest.fixture
def folder(archive_folder: ArchiveFolder, monkeypatch: pytest.MonkeyPatch) -> ArchiveFolder:
    """In March A, B and C trade; in April C more than ever, D for the first time, and A no longer."""
    traded(archive_folder, date(2024, 3, 1), AUSDT=300, BUSDT=200, CUSDT=100, AUSDT_240329=900, ABTC=900)
    traded(archive_folder, date(2024, 4, 1), BUSDT=200, CUSDT=500, DUSDT=400)
    monkeypatch.setattr(choosing, "today", lambda: MARCH)
    return archive_folder


def settings(folder: str, tmp_path: Path, markets: str, **more: str) -> Settings:
    return load_settings(markets=markets, archive_url=folder, storage_url=str(tmp_path / "state"), **more)


def chosen(of: Settings) -> list[str]:
    notices: list[str] = []
    choose(of.patterns, of.paths.choices, of.endpoints, of.kline_interval, notices.append)
    assert not notices
    return of.scope.market_ids


@pytest.mark.parametrize(
    ("markets", "expected"),
    [
        ("binance_um:top2", ["AUSDT", "BUSDT"]),
        ("binance_um:*", ["AUSDT", "BUSDT", "CUSDT"]),
        ("binance_um:top50", ["AUSDT", "BUSDT", "CUSDT"]),
        ("binance_um:CUSDT,binance_um:top1", ["CUSDT", "AUSDT"]),
        ("binance_um:top1,binance_um:AUSDT,binance_um:top2", ["AUSDT", "BUSDT"]),
    ],
)
def test_a_pattern_stands_for_the_perpetual_contracts_in_dollars_of_the_largest_volume(
    folder: ArchiveFolder, tmp_path: Path, markets: str, expected: list[str]
) -> None:
    of = settings(folder.url, tmp_path, markets)
    assert chosen(of) == [f"binance_um:{symbol}" for symbol in expected]


def test_patterns_and_markets_of_several_venues_mix(folder: ArchiveFolder, tmp_path: Path) -> None:
    assert chosen(settings(folder.url, tmp_path, "binance_um:top1,bybit:BTCUSDT")) == [
        "binance_um:AUSDT",
        "bybit:BTCUSDT",
    ]


def test_what_was_chosen_is_recorded_with_when_and_by_which_volumes(folder: ArchiveFolder, tmp_path: Path) -> None:
    of = settings(folder.url, tmp_path, "binance_um:top2")
    chosen(of)
    (made,) = read_choices(of.paths.choices)["binance_um:top2"]
    assert (made.month, made.archive, made.symbols) == ("2024-03", folder.url, ("AUSDT", "BUSDT"))
    assert dict(made.usd) == {"AUSDT": Decimal(300), "BUSDT": Decimal(200), "CUSDT": Decimal(100)}
    assert dict(made.left_out) == {"ABTC": "not quoted in dollars", "AUSDT_240329": "a dated contract"}


def test_until_the_month_has_ended_nothing_is_requested_again(folder: ArchiveFolder, tmp_path: Path) -> None:
    of = settings(folder.url, tmp_path, "binance_um:top2")
    before = chosen(of)
    record = of.paths.choices.read_bytes()
    for key in list(folder.root.rglob("*.zip")):
        key.unlink()
    assert due(of.patterns, of.paths.choices) == ()
    assert chosen(of) == before
    assert of.paths.choices.read_bytes() == record


def test_the_next_month_adds_markets_and_removes_none(
    folder: ArchiveFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = settings(folder.url, tmp_path, "binance_um:top2")
    chosen(of)
    monkeypatch.setattr(choosing, "today", lambda: APRIL)
    assert chosen(of) == [f"binance_um:{symbol}" for symbol in ("AUSDT", "BUSDT", "CUSDT", "DUSDT")]
    made = read_choices(of.paths.choices)["binance_um:top2"]
    assert [each.symbols for each in made] == [("AUSDT", "BUSDT"), ("CUSDT", "DUSDT")]
    assert dropped_out(made) == ["AUSDT", "BUSDT"]


@pytest.mark.parametrize(
    ("day", "month"),
    [("2024-05-03", "2024-03"), ("2024-05-04", "2024-04"), ("2024-05-31", "2024-04"), ("2024-01-02", "2023-11")],
)
def test_the_month_counts_from_the_fourth_day_of_the_next_one_on(day: str, month: str) -> None:
    assert month_to_choose_by(date.fromisoformat(day)).label == month


def test_an_archive_that_is_not_reached_leaves_the_earlier_choice_and_states_so(
    folder: ArchiveFolder, archive_server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(settings(folder.url, tmp_path, "binance_um:top1"))
    monkeypatch.setattr(choosing, "today", lambda: APRIL)
    of = settings(archive_server.url, tmp_path, "binance_um:top1", archive_listing_url=archive_server.url)
    notices: list[str] = []
    choose(of.patterns, of.paths.choices, of.endpoints, of.kline_interval, notices.append)
    assert of.scope.market_ids == ["binance_um:AUSDT"]
    (notice,) = notices
    assert notice.startswith("binance_um:top1: not chosen anew for 2024-04 (")
    assert notice.endswith("the choice of 2024-03 stays")


class TestWithoutAnEarlierChoice:
    def test_nothing_to_list_by_names_the_setting(
        self, folder: ArchiveFolder, archive_server: ArchiveServer, tmp_path: Path
    ) -> None:
        with pytest.raises(NotListed, match=r"`binance_um:top5`: .*set TAKER_ARCHIVE_LISTING_URL"):
            chosen(settings(archive_server.url, tmp_path, "binance_um:top5"))

    def test_a_network_that_is_down_is_an_error(self, tmp_path: Path, folder: ArchiveFolder) -> None:
        nowhere = "http://127.0.0.1:9"
        with pytest.raises(ArchiveUnavailable, match="could not be listed"):
            chosen(settings(nowhere, tmp_path, "binance_um:*", archive_listing_url=nowhere))

    def test_no_market_is_an_error_that_states_what_the_archive_lists(
        self, folder: ArchiveFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(NothingToChoose, match="lists no market of binance_cm"):
            chosen(settings(folder.url, tmp_path, "binance_cm:*"))
        monkeypatch.setattr(choosing, "today", lambda: date(2025, 1, 10))
        with pytest.raises(NothingToChoose, match="lists 4 markets of binance_um, and none with klines of 2024-12"):
            chosen(settings(folder.url, tmp_path, "binance_um:*"))

    def test_what_the_markets_are_is_not_known(self, folder: ArchiveFolder, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"`binance_um:top2` stands for was not chosen yet; `taker run`"):
            settings(folder.url, tmp_path, "binance_um:top2").scope  # noqa: B018


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        ("binance_um:top0", "`top0` is no pattern"),
        ("binance_um:TOP50", "`TOP50` is no pattern"),
        ("binance_um:top", "`top` is no pattern"),
        ("binance_um:BTC*", r"`BTC\*` is no pattern; write `binance_um:\*`"),
        ("bybit:top10", "the archive of bybit has no klines by symbol to choose by"),
        ("binance:top10", "unknown venue `binance`; did you mean `binance_um"),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_to_write(market: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_settings(markets=market)


def test_other_processes_get_the_pattern_and_read_the_same_record(folder: ArchiveFolder, tmp_path: Path) -> None:
    of = settings(folder.url, tmp_path, "binance_um:top2,bybit:BTCUSDT")
    assert of.environment()["TAKER_MARKETS"] == "binance_um:top2,bybit:BTCUSDT"


@pytest.mark.parametrize("content", ["{", "[]", '{"binance_um:*": [{}]}', json.dumps({"binance_um:*": [7]})])
def test_a_damaged_record_is_an_error_and_not_another_choice(
    folder: ArchiveFolder, tmp_path: Path, content: str
) -> None:
    of = settings(folder.url, tmp_path, "binance_um:*")
    of.paths.choices.parent.mkdir(parents=True)
    of.paths.choices.write_text(content)
    with pytest.raises(SettingsError, match=r"markets\.json, .*cannot be read"):
        chosen(of)
