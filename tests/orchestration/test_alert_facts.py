"""What deserves an alert: spikes, liquidations, stale markets, refused publications, a quiet collector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from ingestion.domain.markets import Market
from ingestion.live.status import CollectorStatus, ConnectionStatus
from orchestration.alerts.conditions import quiet_collector, refused_publication, stale_markets
from orchestration.alerts.facts import Fact, Found, Kind
from orchestration.alerts.publication import Newest, read
from orchestration.automation.jobs import BUILD_AND_PUBLISH
from orchestration.automation.publishing_runs import latest_publishing_run
from orchestration.config.settings import Settings
from orchestration.defs.publish import PUBLISHED_KEY
from tests.support.alerting import BTC, ETH, NOW, SIMULATED, SPIKE, Marts


@pytest.fixture
def marts(settings: Settings) -> Marts:
    return Marts(settings.serving_path)


def found(settings: Settings, kind: Kind, now: datetime = NOW) -> Found:
    return next(one for one in read(settings.alerts, now).found if one.kind is kind)


def facts(settings: Settings, kind: Kind, now: datetime = NOW) -> tuple[Fact, ...]:
    return found(settings, kind, now).facts


def keys(settings: Settings, kind: Kind = Kind.SPIKE, now: datetime = NOW) -> list[str]:
    return [fact.key for fact in facts(settings, kind, now)]


class TestSpikes:
    def test_an_unsettled_bar_is_described_by_its_rank_and_what_is_not_known(
        self, settings: Settings, marts: Marts
    ) -> None:
        marts.spike(rank=3).day(date(2026, 1, 31)).publish()
        (fact,) = facts(settings, Kind.SPIKE)
        assert fact.key == "spike:4h_usd:binance_um:BTCUSDT:bearish:2026-01-31T16"
        assert fact.text == (
            "binance_um:BTCUSDT: bearish spike under 4h_usd, rank 3 of 4380 bars in the 730 days to it. Net taker "
            "volume -1,416.0 M USD in the 4 h from 2026-01-31 16:00 UTC; coverage of the bar 100 %, of its window 100 "
            "%. Whether it is an event of its own is not known yet: that takes 24 h more.\n"
            "binance_um:BTCUSDT on 2026-01-31: takers sold <more>."
        )

    def test_a_settled_event_is_described_by_its_rank_among_events(self, settings: Settings, marts: Marts) -> None:
        marts.spike(rank=7, event=(True, 3)).spike(SPIKE - timedelta(days=3), rank=1, event=(False, None)).publish()
        (fact,) = facts(settings, Kind.SPIKE)
        assert "rank 3 among the events of the 730 days to it" in fact.text
        assert "ranks 7 of 4380" in fact.text

    @pytest.mark.parametrize(("rank", "sent"), [(3, 1), (4, 0)])
    def test_only_ranks_up_to_k_are_sent(self, settings: Settings, marts: Marts, rank: int, sent: int) -> None:
        marts.spike(rank=rank).publish()
        assert len(keys(settings)) == sent
        assert len(keys(settings.model_copy(update={"alert_rank": rank}))) == 1

    def test_of_bars_near_each_other_only_the_most_extreme_may_be_an_event(
        self, settings: Settings, marts: Marts
    ) -> None:
        later = SPIKE + timedelta(hours=4)
        marts.spike(SPIKE, 3, value=-1000e6).spike(later, 1, value=-2000e6)
        marts.spike(SPIKE, 2, value=900e6, side="bullish").spike(later, 3, value=800e6, side="bullish").publish()
        assert keys(settings) == [
            "spike:4h_usd:binance_um:BTCUSDT:bullish:2026-01-31T16",
            "spike:4h_usd:binance_um:BTCUSDT:bearish:2026-01-31T20",
        ]

    def test_of_sell_ratios_the_larger_is_the_more_bearish(self, settings: Settings, marts: Marts) -> None:
        wanted = settings.model_copy(update={"alert_definition": "daily_sell_ratio"})
        first, second = datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
        marts.spike(first, 2, value=0.58, definition="daily_sell_ratio")
        marts.spike(second, 2, value=0.57, definition="daily_sell_ratio").publish()
        (fact,) = facts(wanted, Kind.SPIKE)
        assert fact.key.endswith("2026-01-30T00")
        assert "Taker sell ratio 0.5800 in the UTC day of 2026-01-30" in fact.text

    def test_two_years_of_history_are_not_sent(self, settings: Settings, marts: Marts) -> None:
        for days in (8, 100, 700):
            marts.spike(SPIKE - timedelta(days=days), rank=1, event=(True, 1))
        marts.publish()
        assert keys(settings) == []
        assert "3 earlier ones are history" in found(settings, Kind.SPIKE).summary

    def test_provisional_simulated_and_smoothed_bars_are_labelled(self, settings: Settings, marts: Marts) -> None:
        wanted = settings.model_copy(update={"alert_definition": "4h_ma2_usd"})
        marts.spike(market=SIMULATED, definition="4h_ma2_usd", provisional=True, coverage=0.999).publish()
        (fact,) = facts(wanted, Kind.SPIKE)
        assert fact.text.startswith("SIMULATED: simulated:BTCUSDT")
        assert fact.subject.startswith("SIMULATED: ")
        assert "mean of 2 bars" in fact.text
        assert "of its window 99 %" in fact.text
        assert "Provisional: the venue's archive does not have this bar yet" in fact.text

    def test_a_bar_that_is_still_running_is_no_spike_and_hides_none(self, settings: Settings, marts: Marts) -> None:
        marts.spike().spike(SPIKE + timedelta(hours=8), rank=1, value=-3000e6, running=True).publish()
        assert [key.rsplit(":", 1)[-1] for key in keys(settings)] == [f"{SPIKE:%Y-%m-%dT%H}"]

    def test_a_publication_of_before_provisional_bars_is_read_too(self, settings: Settings, marts: Marts) -> None:
        marts.spike().sql("alter table fct_taker_spike_ranks drop is_provisional")
        marts.sql("alter table fct_taker_spike_ranks drop is_running").publish()
        assert len(keys(settings)) == 1

    def test_a_definition_that_is_not_published_is_a_fault_that_names_the_nearest(
        self, settings: Settings, marts: Marts
    ) -> None:
        marts.publish()
        judged = found(settings.model_copy(update={"alert_definition": "4h_us"}), Kind.SPIKE)
        assert not judged.is_judged
        assert judged.fault is not None
        assert "TAKER_ALERT_DEFINITION: `4h_us` is no definition" in judged.fault
        assert "did you mean `4h_usd`?" in judged.fault


class TestLiquidations:
    NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def history(self, marts: Marts, hours: int = 1000, market: str = BTC, **more: object) -> Marts:
        return marts.totals(hours, self.NOON - timedelta(hours=30), 50e6, market=market, **more)  # type: ignore[arg-type]

    def test_totals_above_the_percentile_are_one_fact_described_by_the_largest(
        self, settings: Settings, marts: Marts
    ) -> None:
        self.history(marts).totals(3, self.NOON, 900e6).totals(1, self.NOON + timedelta(hours=1), 1240e6)
        marts.day(date(2026, 1, 31)).publish()
        (fact,) = facts(settings, Kind.LIQUIDATIONS)
        assert fact.key == "liquidations:binance_um:BTCUSDT:2026-01-31T10"
        assert fact.until_at == datetime(2026, 1, 31, 13, tzinfo=UTC)
        assert fact.text == (
            "binance_um:BTCUSDT: liquidations of the 24 h to 2026-01-31 13:00 UTC are 1,240.0 M USD (1,116.0 M long, "
            "124.0 M short; 7 orders), more than 100 % of the 1,000 hourly 24 h totals since 2025-12-19. Coverage "
            "100 %, source live.\nbinance_um:BTCUSDT on 2026-01-31: takers sold <more>."
        )

    def test_a_lower_bound_states_at_least_and_its_coverage(self, settings: Settings, marts: Marts) -> None:
        self.history(marts).totals(1, self.NOON, 900e6, coverage=0.619, is_lower_bound=True, unvalued=2).publish()
        (fact,) = facts(settings, Kind.LIQUIDATIONS)
        assert "are at least 900.0 M USD" in fact.text
        assert "7 orders, 2 of unknown value)" in fact.text
        assert "Coverage 61 %" in fact.text

    def test_an_ordinary_total_is_no_alert(self, settings: Settings, marts: Marts) -> None:
        self.history(marts).totals(1, self.NOON, 50e6).publish()
        assert facts(settings, Kind.LIQUIDATIONS) == ()

    def test_without_enough_history_there_is_no_alert_but_a_reason(self, settings: Settings, marts: Marts) -> None:
        self.history(marts, 700).totals(1, self.NOON, 900e6).publish()
        judged = found(settings, Kind.LIQUIDATIONS)
        assert judged.facts == ()
        assert "binance_um:BTCUSDT has 700 of the 720 hours of history it needs" in judged.summary

    def test_hours_received_in_part_are_no_history(self, settings: Settings, marts: Marts) -> None:
        self.history(marts, 1000, coverage=0.5).totals(1, self.NOON, 900e6).publish()
        assert "has 0 of the 720 hours" in found(settings, Kind.LIQUIDATIONS).summary

    def test_the_sum_of_all_venues_is_compared_with_the_same_venues_only(
        self, settings: Settings, marts: Marts
    ) -> None:
        self.history(marts, market="all:ALL", venue_set="binance_um,bybit")
        marts.totals(1, self.NOON, 900e6, market="all:ALL", venue_set="binance_um,bybit").publish()
        (fact,) = facts(settings, Kind.LIQUIDATIONS)
        assert fact.key == "liquidations:all:ALL:2026-01-31T12"
        assert "7 orders on binance_um,bybit" in fact.text
        again = Marts(settings.serving_path)
        self.history(again, market="all:ALL", venue_set="binance_um")
        again.totals(1, self.NOON, 900e6, market="all:ALL", venue_set="binance_um,bybit").publish()
        assert facts(settings, Kind.LIQUIDATIONS) == ()

    def test_a_sum_is_compared_only_with_sums_of_as_many_symbols(self, settings: Settings, marts: Marts) -> None:
        self.history(marts, market="all:ALL", symbols=3).totals(1, self.NOON, 900e6, market="all:ALL", symbols=3)
        marts.publish()
        (fact,) = facts(settings, Kind.LIQUIDATIONS)
        assert "7 orders on binance_um, of 3 subscribed symbols)" in fact.text
        for symbols in (400, None):
            again = self.history(Marts(settings.serving_path), market="all:ALL", symbols=3)
            again.totals(1, self.NOON, 900e6, market="all:ALL", symbols=symbols).publish()
            assert facts(settings, Kind.LIQUIDATIONS) == ()

    def test_a_publication_of_before_symbols_were_counted_is_read_too(self, settings: Settings, marts: Marts) -> None:
        self.history(marts, market="all:ALL").totals(1, self.NOON, 900e6, market="all:ALL")
        marts.sql("alter table fct_liquidations_rolling_24h drop subscribed_symbol_count").publish()
        assert len(facts(settings, Kind.LIQUIDATIONS)) == 1

    def test_markets_that_are_not_configured_are_left_out(self, settings: Settings, marts: Marts) -> None:
        self.history(marts, market=ETH).totals(1, self.NOON, 900e6, market=ETH).publish()
        assert facts(settings, Kind.LIQUIDATIONS) == ()
        chosen = settings.model_copy(update={"markets": (Market.parse(ETH),)})
        assert len(facts(chosen, Kind.LIQUIDATIONS)) == 1

    def test_a_publication_without_liquidations_states_it(self, settings: Settings, marts: Marts) -> None:
        marts.sql("drop table fct_liquidations_rolling_24h").publish()
        judged = found(settings, Kind.LIQUIDATIONS)
        assert (judged.is_judged, judged.summary) == (False, "the publication has no fct_liquidations_rolling_24h")


class TestStale:
    def test_yesterday_is_expected_at_noon_and_not_before(self) -> None:
        newest = [Newest(BTC, date(2026, 1, 30), "the headline")]
        morning, noon = datetime(2026, 2, 1, 11, 59, tzinfo=UTC), datetime(2026, 2, 1, 12, tzinfo=UTC)
        assert stale_markets(newest, morning).facts == ()
        (fact,) = stale_markets(newest, noon).facts
        assert fact.series == "stale:binance_um:BTCUSDT"
        assert "newest published day is 2026-01-30, 1 day behind 2026-01-31" in fact.text
        assert "The last published day: the headline" in fact.text

    def test_a_market_without_any_day_is_stale(self) -> None:
        (fact,) = stale_markets([Newest(SIMULATED, None, None)], NOW).facts
        assert fact.text.startswith("SIMULATED: simulated:BTCUSDT is stale: it has no published day at all.")

    def test_a_day_that_is_still_running_is_no_day(self, settings: Settings, marts: Marts) -> None:
        marts.day(date(2026, 1, 30)).day(date(2026, 1, 31), coverage=0.6, running=True).publish()
        assert [one.day for one in read(settings.alerts, NOW).newest] == [date(2026, 1, 30)]
        marts.day(date(2026, 1, 31), ETH).publish()
        both = settings.model_copy(update={"markets": tuple(Market.parse(text) for text in (BTC, ETH))})
        assert [one.day for one in read(both.alerts, NOW).newest] == [date(2026, 1, 30), date(2026, 1, 31)]


def ago(**passed: float) -> datetime:
    return NOW - timedelta(**passed)


def connection(name: str, received: datetime | None, *, is_up: bool = True, **more: Any) -> ConnectionStatus:
    """A connection of the collector, and when it received a message or a pong last."""
    return ConnectionStatus(name, name.split()[0], is_up, received, **more)


def judged(
    *connections: ConnectionStatus, beat_at: datetime = NOW, started_at: datetime | None = None, **more: Any
) -> tuple[Fact, ...]:
    """What is found about a collector that has run for three hours."""
    return quiet_collector(CollectorStatus(started_at or ago(hours=3), beat_at, 1, connections, **more), NOW).facts


class TestCollector:
    def test_one_that_never_ran_or_not_for_long_is_not_missed(self) -> None:
        assert quiet_collector(None, NOW).facts == ()
        assert judged(beat_at=ago(days=8)) == ()

    @pytest.mark.parametrize(("seconds", "found"), [(60, 0), (61, 1)])
    def test_a_minute_without_a_beat_is_quiet(self, seconds: int, found: int) -> None:
        facts = judged(beat_at=ago(seconds=seconds))
        assert [fact.series for fact in facts] == ["collector:quiet"] * found

    def test_one_that_was_stopped_is_not_missed_and_reported_as_stopped(self) -> None:
        at = ago(hours=5)
        assert judged(connection("okx", at, is_up=False), beat_at=at, stopped_at=at) == ()
        summary = quiet_collector(CollectorStatus(at, at, 1, (), stopped_at=at), NOW).summary
        assert summary.startswith("it was stopped on purpose at 2026-01-31 19:30 UTC")

    def test_a_connection_that_is_up_and_silent_for_six_hours_is_reported_with_its_possible_causes(self) -> None:
        up: dict[str, Any] = {"up_since": ago(days=1), "is_venue_wide": True}
        facts = judged(
            connection("binance_um", NOW, last_message_at=ago(hours=6, seconds=1), **up),
            connection("binance_cm", NOW, last_message_at=ago(hours=6), **up),
            connection("okx", NOW, last_message_at=None, **up),
            started_at=ago(days=1),
        )
        assert [fact.series for fact in facts] == ["collector:silent:binance_um", "collector:silent:okx"]
        assert "for 6 hours, since 2026-01-31 18:29:59 UTC, not one message" in facts[0].text
        assert "for 24 hours" in facts[1].text
        assert "The market may be that calm; more likely the address is wrong" in facts[0].text

    @pytest.mark.parametrize(
        "status",
        [
            connection("bybit linear", NOW, up_since=ago(days=1)),
            connection("okx", NOW, up_since=ago(minutes=1), is_venue_wide=True),
            connection("okx", ago(hours=9), up_since=ago(days=1), is_venue_wide=True),
        ],
        ids=["of chosen symbols", "was down all the while", "after the machine slept"],
    )
    def test_hours_without_a_message_that_prove_nothing_are_not_reported(self, status: ConnectionStatus) -> None:
        silent = replace(status, last_message_at=ago(hours=9))
        assert judged(silent, started_at=ago(days=1)) == ()

    def test_a_connection_is_reported_when_it_has_been_down_for_five_minutes(self) -> None:
        facts = judged(
            connection("bybit", ago(minutes=6), is_up=False),
            connection("okx", ago(minutes=4), is_up=False),
            connection("binance_um", ago(minutes=30)),
            connection("binance_cm", None, is_up=False),
        )
        assert [fact.series for fact in facts] == ["collector:connection:bybit", "collector:connection:binance_cm"]
        assert "has received nothing since 2026-02-01 00:24:00 UTC" in facts[0].text


class TestRefusedPublication:
    @pytest.fixture
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance

    def run(self, instance: dg.DagsterInstance, *, passes: bool, mart_fails: bool = False, job: str = "") -> None:
        @dg.asset
        def mart() -> None:
            if mart_fails:
                raise RuntimeError("postgresql://taker:geheim@db/x")

        @dg.asset_check(asset=mart, name="gx_taker_flow", blocking=True)
        def check() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=passes, description="[critical] net = buy - sell: 3 rows")

        @dg.asset(key=PUBLISHED_KEY, deps=[mart])
        def published() -> None: ...

        name = job or BUILD_AND_PUBLISH
        definitions = dg.Definitions(
            assets=[mart, published],
            asset_checks=[check],
            jobs=[dg.define_asset_job(name, selection=dg.AssetSelection.assets(mart, published))],
        )
        definitions.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)

    def judged(self, instance: dg.DagsterInstance) -> Found:
        return refused_publication(latest_publishing_run(instance), NOW, is_simulated=False)

    def test_the_failed_check_and_its_evidence_are_reported(self, instance: dg.DagsterInstance) -> None:
        self.run(instance, passes=False)
        (fact,) = self.judged(instance).facts
        assert fact.parts == {"gx_taker_flow"}
        assert (
            "the audit failed.\ngx_taker_flow: [critical] net = buy - sell: 3 rows\nThe former publication" in fact.text
        )

    def test_a_later_publication_ends_it_and_other_jobs_do_not(self, instance: dg.DagsterInstance) -> None:
        self.run(instance, passes=False)
        self.run(instance, passes=True, job="ingest_days")
        assert len(self.judged(instance).facts) == 1
        self.run(instance, passes=True)
        assert self.judged(instance).facts == ()

    def test_a_run_that_failed_elsewhere_is_reported_without_its_error_text(self, instance: dg.DagsterInstance) -> None:
        self.run(instance, passes=True, mart_fails=True)
        (fact,) = self.judged(instance).facts
        assert "the run failed in mart, not in the audit" in fact.text
        assert "geheim" not in fact.text

    def test_before_any_run_nothing_can_be_decided(self, instance: dg.DagsterInstance) -> None:
        assert not self.judged(instance).is_judged


def test_nothing_is_opened_once_it_was_read(settings: Settings, marts: Marts) -> None:
    marts.spike().publish()
    read(settings.alerts, NOW)
    with duckdb.connect(str(settings.serving_path)) as writer:
        writer.execute("create table written as select 1")
