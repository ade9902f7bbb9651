"""A claim as people write it: understood or refused in a sentence, and judged by what is published."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.serving.briefs import briefs
from orchestration.serving.claims.evaluate import Answer, Outcome, Verdict, check, facts
from orchestration.serving.claims.parse import Claim, ClaimNotUnderstood, understand
from orchestration.serving.published import MarketNotPublished, NothingPublished, QueryFailed, resolve_market
from tests.support.claimed import publish_for_claims

NEWS = Claim("BTCUSDT", date(2026, 1, 31), date(2026, 1, 31), "bearish", 3, 730)
OCTOBER = Claim("BTCUSDT", date(2025, 10, 1), date(2025, 10, 31), "bearish", 2, 730, date(2026, 2, 3))


class TestUnderstanding:
    @pytest.mark.parametrize(
        "text",
        [
            "BTCUSDT 2026-01-31 bearish rank 3 in 730 days",
            "bearish BTCUSDT 2026-01-31 rank 3",
            "BTCUSDT 2026-01-31: the third-largest bearish spike in two years",
            "2026-01-31 was the 3rd largest bearish spike of BTCUSDT in 2 years.",
            "BTCUSDT 2026-1-31 Bearish #3 in 730 day",
            "BTCUSDT 2026-01-31: third-largest selling day in two years",
        ],
    )
    def test_the_same_claim_may_be_written_in_many_ways(self, text: str) -> None:
        assert understand(text) == NEWS

    @pytest.mark.parametrize("market", ["all:BTC", "okx:BTC-USDT-SWAP", "BTC-USDT-SWAP"])
    def test_a_sum_over_venues_and_a_symbol_with_dashes_are_markets(self, market: str) -> None:
        assert understand(f"{market} 2026-01-31 bearish rank 3 in 730 days") == replace(NEWS, market=market)

    def test_a_range_of_days_and_the_day_of_the_claim(self) -> None:
        assert understand("BTCUSDT 2025-10-01..2025-10-31 bearish rank 2 in 730 days as of 2026-02-03") == OCTOBER
        assert understand("BTCUSDT 2025-10-01 to 2025-10-31 second bearish as of 2026-02-03") == OCTOBER

    def test_a_day_may_be_relative(self) -> None:
        today = datetime.now(UTC).date()
        assert understand("BTCUSDT -7d bearish rank 3").event_from in (today - timedelta(7), today - timedelta(6))
        spanned = understand("BTCUSDT -7d..yesterday bearish rank 3")
        assert (spanned.event_to - spanned.event_from).days == 6

    def test_the_largest_is_rank_1(self) -> None:
        assert understand("largest bearish spike of BTCUSDT on 2026-01-31").rank == 1

    @pytest.mark.parametrize(("window", "days"), [("in 90 days", 90), ("in a year", 365), ("in 6 months", 180)])
    def test_windows(self, window: str, days: int) -> None:
        assert understand(f"BTCUSDT 2026-01-31 bearish rank 3 {window}").window_days == days

    def test_options_say_the_same(self) -> None:
        assert understand(market="BTCUSDT", day="2026-01-31", side="bearish", rank="3", window_days="730") == NEWS
        found = understand(
            market="BTCUSDT", first="2025-10-01", last="2025-10-31", side="bearish", rank="2", as_of="2026-02-03"
        )
        assert found == OCTOBER

    def test_options_complete_the_text(self) -> None:
        assert understand("2026-01-31 bearish", market="BTCUSDT", rank="3") == NEWS

    def test_one_end_of_a_range_is_a_day(self) -> None:
        assert understand(market="BTCUSDT", last="2026-01-31", side="bearish", rank="3") == NEWS

    @pytest.mark.parametrize(
        ("text", "options", "found"),
        [
            ("BTCUSDT 2026-01-31 bearsh rank 3", {}, "`bearsh` is not understood; did you mean `bearish`?"),
            ("BTCUSDT 2026-01-31 bearish rnk 3", {}, "`rnk` is not understood; did you mean `rank`?"),
            ("BTCUSDT 2026-01-31 bearish thrid largest", {}, "did you mean `third`?"),
            ("BTCUSDT 2026-02-31 bearish rank 3", {}, "`2026-02-31` is not a day; write YYYY-MM-DD"),
            ("BTCUSDT lately bearish rank 3", {}, "`BTCUSDT` and `lately` cannot all be the market"),
            (
                "BTCUSDT bearish",
                {},
                "the claim lacks a day such as 2026-01-31 or yesterday and a rank such as `rank 3`",
            ),
            ("", {}, 'write it like this: taker claim "BTCUSDT 2026-01-31 bearish rank 3 in 730 days"'),
            ("BTCUSDT 2026-01-31 bearish bullish rank 3", {}, "a claim has one side, and this one has `bearish` and"),
            ("BTCUSDT 2026-01-31 2026-02-01 bearish rank 3", {}, "check them one by one"),
            ("BTCUSDT 2026-01-31..2026-02-02 2026-02-01 bearish rank 3", {}, "one day too many"),
            ("BTCUSDT 2026-01-31 bearish rank 0", {}, "`0` is no rank"),
            ("BTCUSDT 2026-02-01..2026-01-31 bearish rank 3", {}, "is after the last day 2026-01-31; swap them"),
            ("BTCUSDT 2026-01-31 bearish rank 3 as of 2026-01-30", {}, "cannot be about 2026-01-31, which came later"),
            ("BTCUSDT 2026-01-31 bearish rank 3", {"rank": "4"}, "has 3 and the option has 4"),
            ("BTCUSDT 2026-01-31 rank 3", {"side": "bulish"}, "`bulish` is no side; did you mean `bullish`?"),
            ("BTCUSDT bearish rank 3", {"day": "31.01.2026"}, "`31.01.2026` is not a day"),
            ("BTCUSDT bearish rank 3", {"day": "2026-01-31", "first": "2026-01-30"}, "give one or the other"),
            ("BTCUSDT 2026-01-31 bearish rank 3", {"window_days": "-5"}, "`-5` is no window in days"),
        ],
    )
    def test_what_is_not_a_claim_is_refused_in_one_sentence(
        self, text: str, options: dict[str, Any], found: str
    ) -> None:
        with pytest.raises(ClaimNotUnderstood) as refused:
            understand(text, **options)
        assert found in str(refused.value)
        assert "\n" not in str(refused.value)


class TestTheMarket:
    PUBLISHED = ("all:BTC", "binance_cm:BTCUSD_PERP", "binance_um:BTCUSDT", "simulated:BTCUSDT")

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("binance_um:BTCUSDT", "binance_um:BTCUSDT"),
            ("BINANCE_UM:btcusdt", "binance_um:BTCUSDT"),
            ("btcusd_perp", "binance_cm:BTCUSD_PERP"),
            ("all:BTC", "all:BTC"),
            ("btc", "all:BTC"),
        ],
    )
    def test_is_found_by_id_or_symbol_in_any_case(self, written: str, meant: str) -> None:
        assert resolve_market(written, self.PUBLISHED) == meant

    def test_of_two_venues_needs_the_venue(self) -> None:
        with pytest.raises(MarketNotPublished, match="may be binance_um:BTCUSDT or simulated:BTCUSDT"):
            resolve_market("BTCUSDT", self.PUBLISHED)

    def test_misspelt_gets_a_suggestion_and_unknown_the_list(self) -> None:
        with pytest.raises(MarketNotPublished, match=r"did you mean `BTCUSD_PERP`\? published are: all:BTC, "):
            resolve_market("BTCUSDPERP", self.PUBLISHED)
        with pytest.raises(MarketNotPublished, match="published are: all:BTC, binance_cm:BTCUSD_PERP, "):
            resolve_market("DOGE", self.PUBLISHED)

    def test_may_be_left_out_where_there_is_only_one(self) -> None:
        assert resolve_market(None, ["binance_um:BTCUSDT"]) == "binance_um:BTCUSDT"
        with pytest.raises(MarketNotPublished, match="which market"):
            resolve_market(None, self.PUBLISHED)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_for_claims(tmp_path_factory.mktemp("claims") / "marts.duckdb")


class TestTheVerdict:
    def ask(self, published: Path, text: str) -> Answer:
        return check(published, understand(f"binance_um:BTCUSDT {text}"))

    def holding(self, answer: Answer) -> dict[str, bool | None]:
        return {verdict.definition_id: verdict.holds for verdict in answer.verdicts}

    def test_holds_if_one_definition_confirms_it(self, published: Path) -> None:
        answer = self.ask(published, "2024-03-25 bearish rank 2 in 20 days")
        assert answer.outcome is Outcome.HOLDS
        assert self.holding(answer) == {"4h_usd": None, "daily_base": False, "daily_usd": True}

    def test_fails_if_none_does_and_names_the_larger_ones(self, published: Path) -> None:
        answer = self.ask(published, "2024-03-25 bearish rank 5 in 20 days")
        assert answer.outcome is Outcome.FAILS
        (daily,) = [verdict for verdict in answer.verdicts if verdict.definition_id == "daily_usd"]
        assert (daily.actual_rank, daily.larger_events) == (2, "2024-03-20 (-300 M USD)")

    @pytest.mark.parametrize(
        "text",
        [
            "2024-03-25 bearish rank 2 in 730 days",  # two years are not covered
            "2024-04-05 bearish rank 30 in 20 days",  # half of the day is missing
            "2024-06-01 bearish rank 1 in 20 days",  # not ingested
        ],
    )
    def test_is_unknown_where_the_data_cannot_tell(self, published: Path, text: str) -> None:
        assert self.ask(published, text).outcome is Outcome.UNKNOWN

    def test_a_bar_that_another_source_contradicts_is_named_and_those_of_the_window_are_counted(
        self, published: Path
    ) -> None:
        def daily(text: str) -> Verdict:
            return next(one for one in self.ask(published, text).verdicts if one.definition_id == "daily_usd")

        itself = daily("2024-03-25 bearish rank 2 in 20 days")
        assert (itself.flow_quality, itself.contradicted_bars) == ("contradicted", 1)
        assert "another source contradicts the bar" in itself.sentence
        beside = daily("2024-03-20 bearish rank 1 in 10 days as of 2024-03-28")
        assert (beside.flow_quality, beside.contradicted_bars) == ("as_published", 1)
        assert "contradicts" not in beside.sentence
        before = daily("2024-03-15 bearish rank 1 in 10 days")
        assert (before.flow_quality, before.contradicted_bars) == ("as_published", 0)
        nothing = daily("2024-06-01 bearish rank 1 in 20 days")
        assert (nothing.flow_quality, nothing.contradicted_bars) == (None, 0)

    def test_about_days_that_are_not_published_is_unknown_and_names_the_latest(self, published: Path) -> None:
        later, latest = (
            self.ask(published, f"{day} bearish rank 1 in 20 days") for day in ("2999-01-01", "2024-04-09")
        )
        assert (later.outcome, later.is_of_later_days) == (Outcome.UNKNOWN, True)
        assert (latest.latest_day, latest.is_of_later_days) == (date(2024, 4, 9), False)

    def test_a_definition_without_bars_has_no_say(self, published: Path) -> None:
        answer = self.ask(published, "2024-03-25 bearish rank 5 in 20 days")
        assert [verdict.definition_id for verdict in answer.verdicts if not verdict.is_measured] == ["4h_usd"]
        assert Answer(answer.claim, answer.market_id, False, answer.verdicts[:1]).outcome is Outcome.UNKNOWN

    def test_is_as_of_the_day_of_the_claim(self, published: Path) -> None:
        early = self.ask(published, "2024-03-15 bearish rank 1 in 10 days")
        late = self.ask(published, "2024-03-15 bearish rank 1 in 12 days as of 2024-03-23")
        assert (self.holding(early)["daily_usd"], self.holding(late)["daily_usd"]) == (True, False)

    def test_knows_what_is_simulated(self, published: Path) -> None:
        answer = check(published, understand("simulated:BTCUSDT 2024-03-25 bearish rank 2 in 20 days"))
        assert answer.is_simulated
        assert facts(answer)["is_simulated"] is True

    def test_before_a_publication_there_is_no_answer(self, tmp_path: Path) -> None:
        with pytest.raises(NothingPublished):
            check(tmp_path / "marts.duckdb", NEWS)

    def test_an_older_publication_names_what_to_do(self, tmp_path: Path) -> None:
        import duckdb

        with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
            connection.execute(
                "create table dim_markets as select 'binance_um:BTCUSDT' as market_id, false is_simulated"
            )
        with pytest.raises(QueryFailed, match="`taker run` publishes anew"):
            check(tmp_path / "old.duckdb", NEWS)
        with pytest.raises(QueryFailed, match="publishes anew"):
            briefs(tmp_path / "old.duckdb")
