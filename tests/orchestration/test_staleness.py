"""The one rule of which market lacks a day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb
import pytest

from orchestration.config.settings import Settings
from orchestration.serving.staleness import expected_day, newest_days, stale
from tests.support.alerting import BTC, ETH, Marts

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "day"), [(NOON, date(2026, 1, 10)), (datetime(2026, 1, 11, 11, 59, tzinfo=UTC), date(2026, 1, 9))]
)
def test_yesterday_is_expected_from_noon_on(at: datetime, day: date) -> None:
    assert expected_day(at) == day


def test_who_is_behind_is_reported_by_how_much() -> None:
    assert stale({"a": date(2026, 1, 10), "b": date(2026, 1, 9), "c": date(2026, 1, 8), "d": None}, NOON) == {
        "b": "its newest published day is 2026-01-09, 1 day behind 2026-01-10",
        "c": "its newest published day is 2026-01-08, 2 days behind 2026-01-10",
        "d": "it has no published day at all",
    }


def test_a_delivered_contract_is_expected_up_to_its_delivery() -> None:
    newest = {"binance_cm:BTCUSD_251226": date(2025, 12, 26), "binance_cm:ETHUSD_251226": date(2025, 12, 25)}
    assert stale(newest, NOON) == {
        "binance_cm:ETHUSD_251226": "its newest published day is 2025-12-25, 1 day behind 2025-12-26"
    }


def test_a_running_day_is_none_and_an_older_publication_is_read_too(settings: Settings) -> None:
    def newest() -> dict[str, date | None]:
        with duckdb.connect(str(settings.serving_path), read_only=True) as connection:
            return newest_days(connection, [BTC, ETH])

    marts = Marts(settings.serving_path).day(date(2026, 1, 30)).day(date(2026, 1, 31), running=True)
    marts.publish()
    assert newest() == {BTC: date(2026, 1, 30), ETH: None}
    marts.sql("alter table fct_net_taker_volume_daily drop is_running").publish()
    assert newest() == {BTC: date(2026, 1, 31), ETH: None}
    marts.sql("drop table fct_net_taker_volume_daily").publish()
    assert newest() == {BTC: None, ETH: None}
