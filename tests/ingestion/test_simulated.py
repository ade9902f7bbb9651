"""The simulated exchange, checked on the files it wrote and with independent decimal arithmetic."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import shutil
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise
from pathlib import Path

import pytest

from ingestion.simulator.simulated import (
    MARKER,
    DefectKind,
    SimulationError,
    SimulationSummary,
    publish_correction,
    simulate,
)

Row = dict[str, str]
LINEAR, INVERSE = ("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")
MARKETS = (LINEAR, INVERSE)
LAST_DAY = date(2026, 2, 10)
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """Seventy days that begin and end within a month, trades of the last eight."""
    return simulate(tmp_path_factory.mktemp("small"), last_day=LAST_DAY, days=70, trades_days=8, rows_per_day=400)


@pytest.fixture(scope="module")
def two_years(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    root = tmp_path_factory.mktemp("two_years")
    return simulate(root, last_day=LAST_DAY, days=760, trades_days=7, rows_per_day=240)


def path_of(root: Path, market: tuple[str, str], dataset: str, period: str, interval: str = "") -> Path:
    product, symbol = market
    span = "daily" if len(period) == 10 else "monthly"
    folder = root / "data" / "futures" / product / span / dataset / symbol / interval
    return folder / f"{symbol}-{interval or dataset}-{period}.zip"


def text_of(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        assert member == f"{path.stem}.csv"
        return archive.read(member).decode("ascii")


def rows_of(path: Path) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text_of(path))))


def whole_days(summary: SimulationSummary) -> list[date]:
    """Days with trades and without a planned defect."""
    broken = {defect.day for defect in summary.defects}
    days = (summary.first_trades_day + timedelta(days=n) for n in range(8))
    return [day for day in days if day <= summary.last_day and day not in broken]


def defective_day(summary: SimulationSummary, kind: DefectKind) -> date:
    (day,) = (defect.day for defect in summary.defects if defect.kind is kind)
    return day


def month_ends(summary: SimulationSummary) -> set[str]:
    days = [summary.first_day + timedelta(days=n) for n in range((summary.last_day - summary.first_day).days + 1)]
    return {f"{day:%Y-%m}" for day in days if (day + timedelta(days=1)).day == 1}


def published_bars(summary: SimulationSummary, market: tuple[str, str], interval: str) -> list[Row]:
    """All bars: of finished months from their monthly file, of the unfinished month from the daily ones."""
    months = sorted(month_ends(summary))
    bars = [row for month in months for row in rows_of(path_of(summary.root, market, "klines", month, interval))]
    day = summary.last_day.replace(day=1)
    while day <= summary.last_day and f"{day:%Y-%m}" not in months:
        bars += rows_of(path_of(summary.root, market, "klines", f"{day}", interval))
        day += timedelta(days=1)
    return bars


def net_usd(market: tuple[str, str], bar: Row) -> Decimal:
    if market == LINEAR:
        return 2 * Decimal(bar["taker_buy_quote_volume"]) - Decimal(bar["quote_volume"])
    return (2 * Decimal(bar["taker_buy_volume"]) - Decimal(bar["volume"])) * 100


def opened_at(bar: Row) -> datetime:
    return datetime.fromtimestamp(int(bar["open_time"]) / 1000, UTC)


def by_hour(rows: Iterable[Row], time: str) -> list[list[Row]]:
    hours: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        hours[int(row[time]) // HOUR_MS].append(row)
    return [hours[hour] for hour in sorted(hours)]


def sides(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """All rows, and those whose taker bought."""
    return rows, [row for row in rows if row["is_buyer_maker"] == "false"]


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- the archive as files -----------------------------------------------------------------------------------------


def test_every_object_is_a_zip_of_one_csv_with_its_own_checksum_beside_it(small: SimulationSummary) -> None:
    objects = sorted(small.root.rglob("*.zip"))
    assert len(objects) == small.objects
    assert sum(path.stat().st_size for path in objects) == small.bytes
    for path in objects:
        assert text_of(path).endswith("\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.with_name(path.name + ".CHECKSUM").read_text() == f"{digest}  {path.name}\n"


def test_the_same_arguments_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    def made(name: str, seed: int) -> dict[str, str]:
        simulate(tmp_path / name, last_day=LAST_DAY, days=8, trades_days=7, rows_per_day=240, seed=seed)
        return contents(tmp_path / name)

    first, again, other = made("first", 7), made("again", 7), made("other", 8)
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


def test_the_bytes_do_not_depend_on_how_many_cores_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cores in (1, 16):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        simulate(tmp_path / f"{cores}", last_day=LAST_DAY, days=7, trades_days=7, rows_per_day=4000)
    assert contents(tmp_path / "1") == contents(tmp_path / "16")


def test_a_day_does_not_depend_on_how_many_other_days_are_written(small: SimulationSummary, tmp_path: Path) -> None:
    simulate(tmp_path, last_day=LAST_DAY, days=20, trades_days=8, rows_per_day=400)
    few, many = contents(tmp_path / "data"), contents(small.root / "data")
    daily = {name: digest for name, digest in few.items() if "/daily/" in name}
    assert len(daily) > 200
    assert daily == {name: many[name] for name in daily}


def test_files_lie_where_and_when_the_venue_would_have_published_them(small: SimulationSummary) -> None:
    # 2025-12-03 to 2026-02-10: December (from its third day) and January are finished, February is not.
    for market in MARKETS:
        for dataset, interval in (("fundingRate", ""), ("klines", "1h"), ("klines", "4h"), ("klines", "1d")):
            months = {
                month: path_of(small.root, market, dataset, month, interval).exists()
                for month in ("2025-12", "2026-01", "2026-02")
            }
            assert months == {"2025-12": True, "2026-01": True, "2026-02": False}
        every_day = [small.first_day + timedelta(days=n) for n in range(70)]
        assert all(path_of(small.root, market, "klines", f"{day}", "4h").exists() for day in every_day)
        assert all(len(rows_of(path_of(small.root, market, "metrics", f"{day}"))) == 288 for day in every_day)
        assert not path_of(small.root, market, "metrics", f"{small.first_day - timedelta(days=1)}").exists()
        assert not path_of(small.root, market, "trades", f"{small.first_trades_day - timedelta(days=1)}").exists()
        assert path_of(small.root, market, "liquidationSnapshot", f"{small.first_trades_day}").exists()


def test_metrics_are_labelled_every_five_minutes_of_their_own_day(small: SimulationSummary) -> None:
    rows = rows_of(path_of(small.root, LINEAR, "metrics", "2026-01-05"))
    midnight = datetime(2026, 1, 5, tzinfo=UTC)
    labels = [f"{midnight + timedelta(minutes=5 * n):%Y-%m-%d %H:%M:%S}" for n in range(288)]
    assert [row["create_time"] for row in rows] == labels
    assert all(Decimal(row["sum_open_interest_value"]) > 0 for row in rows)


def test_funding_is_paid_three_times_a_day(small: SimulationSummary) -> None:
    rows = rows_of(path_of(small.root, INVERSE, "fundingRate", "2026-01"))
    assert [int(row["calc_time"]) // (8 * HOUR_MS) for row in rows] == [
        int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // (8 * 3600) + n for n in range(93)
    ]


# --- numbers that agree with each other -----------------------------------------------------------------------------


def test_linear_klines_are_the_sums_of_their_trades_to_the_last_digit(small: SimulationSummary) -> None:
    for day in whole_days(small):
        bars = rows_of(path_of(small.root, LINEAR, "klines", f"{day}", "1h"))
        aggregates = by_hour(rows_of(path_of(small.root, LINEAR, "aggTrades", f"{day}")), "transact_time")
        trades = by_hour(rows_of(path_of(small.root, LINEAR, "trades", f"{day}")), "time")
        for bar, hour_aggregates, hour_trades in zip(bars, aggregates, trades, strict=True):
            for rows, quantity in ((hour_aggregates, "quantity"), (hour_trades, "qty")):
                total, bought = sides(rows)
                assert Decimal(bar["volume"]) == sum(Decimal(r[quantity]) for r in total)
                assert Decimal(bar["taker_buy_volume"]) == sum(Decimal(r[quantity]) for r in bought)
                notional = [sum(Decimal(r["price"]) * Decimal(r[quantity]) for r in side) for side in (total, bought)]
                assert [Decimal(bar["quote_volume"]), Decimal(bar["taker_buy_quote_volume"])] == notional
                prices = [Decimal(r["price"]) for r in rows]
                shape = [prices[0], max(prices), min(prices), prices[-1]]
                assert [Decimal(bar[name]) for name in ("open", "high", "low", "close")] == shape
            assert int(bar["count"]) == len(hour_trades)
            assert all(Decimal(r["quote_qty"]) == Decimal(r["price"]) * Decimal(r["qty"]) for r in hour_trades)


def test_inverse_base_volume_is_the_exact_quotient_rounded_half_up_once_per_hour(small: SimulationSummary) -> None:
    unit = Decimal("0.00000001")
    for day in (small.first_trades_day, small.last_day):
        bars = rows_of(path_of(small.root, INVERSE, "klines", f"{day}", "1h"))
        aggregates = by_hour(rows_of(path_of(small.root, INVERSE, "aggTrades", f"{day}")), "transact_time")
        trades = by_hour(rows_of(path_of(small.root, INVERSE, "trades", f"{day}")), "time")
        with localcontext(prec=60, rounding=ROUND_HALF_UP):
            for bar, *files in zip(bars, aggregates, trades, strict=True):
                for rows, quantity in zip(files, ("quantity", "qty"), strict=True):
                    for side, contracts, base in zip(
                        sides(rows),
                        (bar["volume"], bar["taker_buy_volume"]),
                        (bar["quote_volume"], bar["taker_buy_quote_volume"]),
                        strict=True,
                    ):
                        assert int(contracts) == sum(int(r[quantity]) for r in side)
                        exact = sum(Decimal(r[quantity]) * 100 / Decimal(r["price"]) for r in side)
                        assert Decimal(base) == Decimal(exact).quantize(unit)
                for row in files[1]:
                    exact = Decimal(row["qty"]) * 100 / Decimal(row["price"])
                    assert Decimal(row["base_qty"]) == exact.quantize(unit)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("interval", "hours"), [("4h", 4), ("1d", 24)])
def test_coarser_bars_are_the_sums_of_the_published_hours(
    small: SimulationSummary, market: tuple[str, str], interval: str, hours: int
) -> None:
    fine, coarse = published_bars(small, market, "1h"), published_bars(small, market, interval)
    assert len(fine) == len(coarse) * hours == 70 * 24
    for index, bar in enumerate(coarse):
        parts = fine[index * hours : (index + 1) * hours]
        for name in ("volume", "quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume"):
            assert Decimal(bar[name]) == sum(Decimal(part[name]) for part in parts)
        assert (bar["open_time"], bar["open"]) == (parts[0]["open_time"], parts[0]["open"])
        assert (bar["close_time"], bar["close"]) == (parts[-1]["close_time"], parts[-1]["close"])
        assert Decimal(bar["high"]) == max(Decimal(part["high"]) for part in parts)
        assert Decimal(bar["low"]) == min(Decimal(part["low"]) for part in parts)


@pytest.mark.parametrize("market", MARKETS)
def test_a_monthly_file_holds_the_rows_of_its_daily_files(small: SimulationSummary, market: tuple[str, str]) -> None:
    days = [f"2026-01-{day:02}" for day in range(1, 32)]
    daily = [row for day in days for row in rows_of(path_of(small.root, market, "klines", day, "1h"))]
    assert rows_of(path_of(small.root, market, "klines", "2026-01", "1h")) == daily


@pytest.mark.parametrize("market", MARKETS)
def test_every_bar_can_be(two_years: SimulationSummary, market: tuple[str, str]) -> None:
    """Also on the days without trades: prices in order, a positive part of every volume bought, mean price in range."""
    size = Decimal(1) if market == LINEAR else Decimal(100)
    for bar in published_bars(two_years, market, "1h"):
        low, high = Decimal(bar["low"]), Decimal(bar["high"])
        assert 60_000 < low <= min(Decimal(bar["open"]), Decimal(bar["close"]))
        assert max(Decimal(bar["open"]), Decimal(bar["close"])) <= high < 120_000
        total, bought = (
            (Decimal(bar[f"{side}volume"]), Decimal(bar[f"{side}quote_volume"])) for side in ("", "taker_buy_")
        )
        for volume, quote in (bought, (total[0] - bought[0], total[1] - bought[1])):
            assert volume > 0
            mean = quote / volume if market == LINEAR else volume * size / quote
            assert low - Decimal("0.01") <= mean <= high + Decimal("0.01")


@pytest.mark.parametrize("market", MARKETS)
def test_aggregates_partition_the_trades(small: SimulationSummary, market: tuple[str, str]) -> None:
    sizes: Counter[int] = Counter()
    for day in whole_days(small):
        trades = {int(r["id"]): r for r in rows_of(path_of(small.root, market, "trades", f"{day}"))}
        expected = min(trades)
        for aggregate in rows_of(path_of(small.root, market, "aggTrades", f"{day}")):
            first, last = int(aggregate["first_trade_id"]), int(aggregate["last_trade_id"])
            parts = [trades.pop(number) for number in range(first, last + 1)]
            assert first == expected
            assert Decimal(aggregate["quantity"]) == sum(Decimal(p["qty"]) for p in parts)
            assert min(Decimal(p["qty"]) for p in parts) > 0
            same = (aggregate["price"], aggregate["transact_time"], aggregate["is_buyer_maker"])
            assert {(p["price"], p["time"], p["is_buyer_maker"]) for p in parts} == {same}
            expected = last + 1
            sizes[len(parts)] += 1
        assert not trades
    assert sizes[1] > sizes[2] > sizes[3] > 0


@pytest.mark.parametrize("market", MARKETS)
def test_ids_are_contiguous_within_and_across_days_and_times_never_fall(
    small: SimulationSummary, market: tuple[str, str]
) -> None:
    for dataset, name, time in (("aggTrades", "agg_trade_id", "transact_time"), ("trades", "id", "time")):
        days = [small.last_day - timedelta(days=n) for n in (1, 0)]
        rows = [row for day in days for row in rows_of(path_of(small.root, market, dataset, f"{day}"))]
        ids = [int(row[name]) for row in rows]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        times = [int(row[time]) for row in rows]
        assert times == sorted(times)


# --- the story ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("interval", "bars_of_window"), [("1d", 730), ("4h", 4380)])
def test_the_last_day_is_the_third_largest_bearish_spike_of_its_two_years(
    two_years: SimulationSummary, market: tuple[str, str], interval: str, bars_of_window: int
) -> None:
    window = published_bars(two_years, market, interval)[-bars_of_window:]
    ranked = sorted(window, key=lambda bar: net_usd(market, bar))
    days = [opened_at(bar).date() for bar in ranked[:3]]
    assert days[2] == two_years.spike_day == two_years.last_day
    assert days[0] != days[1]
    assert set(days) <= set(two_years.crash_days)
    # By a margin, not by luck: the runner-up is far away on either side.
    nets = [net_usd(market, bar) for bar in ranked[:4]]
    assert nets[1] < nets[2] * Decimal("1.15")
    assert nets[3] > nets[2] * Decimal("0.85")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_spike_is_third_whatever_the_seed(tmp_path: Path, seed: int) -> None:
    summary = simulate(tmp_path, last_day=date(2024, 7, 14), days=130, trades_days=7, rows_per_day=240, seed=seed)
    for market in MARKETS:
        for interval in ("1d", "4h"):
            ranked = sorted(published_bars(summary, market, interval), key=lambda bar: net_usd(market, bar))
            assert opened_at(ranked[2]).date() == summary.spike_day


def test_volatility_comes_in_clusters(two_years: SimulationSummary) -> None:
    ranges = [math.log(float(bar["high"]) / float(bar["low"])) for bar in published_bars(two_years, LINEAR, "1d")]
    calm_or_wild = [math.log(span) for span in ranges]
    mean = sum(calm_or_wild) / len(calm_or_wild)
    variance = sum((x - mean) ** 2 for x in calm_or_wild)
    a_week_on = sum((a - mean) * (b - mean) for a, b in zip(calm_or_wild, calm_or_wild[7:], strict=False))
    assert a_week_on / variance > 0.15


def test_takers_lean_the_way_the_price_goes(two_years: SimulationSummary) -> None:
    bars = published_bars(two_years, LINEAR, "1h")
    agreeing = sum((net_usd(LINEAR, b) > 0) == (Decimal(b["close"]) > Decimal(b["open"])) for b in bars)
    assert 0.6 < agreeing / len(bars) < 0.95


# --- liquidations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_every_liquidation_row_stands_exactly_twice_side_by_side(
    small: SimulationSummary, market: tuple[str, str]
) -> None:
    for day in (small.first_trades_day, small.last_day):
        lines = text_of(path_of(small.root, market, "liquidationSnapshot", f"{day}")).splitlines()[1:]
        assert lines
        assert lines[::2] == lines[1::2]
        assert set(Counter(lines).values()) == {2}


@pytest.mark.parametrize("market", MARKETS)
def test_partial_fills_of_an_order_accumulate_to_its_quantity(
    small: SimulationSummary, market: tuple[str, str]
) -> None:
    orders: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows_of(path_of(small.root, market, "liquidationSnapshot", f"{small.last_day}"))[::2]:
        orders[row["side"], row["original_quantity"], row["price"]].append(row)
    assert any(len(rows) > 1 for rows in orders.values())
    for rows in orders.values():
        filled = [Decimal(row["accumulated_fill_quantity"]) for row in rows]
        assert filled == sorted(set(filled))
        assert filled[-1] == Decimal(rows[-1]["original_quantity"])
        assert [row["order_status"] for row in rows] == ["PARTIALLY_FILLED"] * (len(rows) - 1) + ["FILLED"]
        steps = [b - a for a, b in pairwise(filled)]
        assert steps == [Decimal(row["last_fill_quantity"]) for row in rows[1:]]
    seconds = Counter(int(rows[0]["time"]) // 1000 for rows in orders.values())
    assert set(seconds.values()) == {1}


def test_a_crash_liquidates_longs_in_a_cascade(small: SimulationSummary) -> None:
    def longs_and_shorts(day: date) -> tuple[Decimal, Decimal]:
        totals = {"SELL": Decimal(0), "BUY": Decimal(0)}
        for row in rows_of(path_of(small.root, LINEAR, "liquidationSnapshot", f"{day}"))[::2]:
            if row["order_status"] == "FILLED":
                totals[row["side"]] += Decimal(row["accumulated_fill_quantity"]) * Decimal(row["average_price"])
        return totals["SELL"], totals["BUY"]

    longs, shorts = longs_and_shorts(small.spike_day)
    assert longs > 3 * shorts > 0
    assert longs > 5 * max(longs_and_shorts(small.spike_day - timedelta(days=n))[0] for n in range(1, 8))


# --- planned defects ------------------------------------------------------------------------------------------------


def test_each_kind_of_defect_lies_on_one_day_of_the_linear_market(small: SimulationSummary) -> None:
    assert {defect.kind for defect in small.defects} == set(DefectKind)
    assert len({defect.day for defect in small.defects}) == len(DefectKind)
    assert all(small.first_trades_day <= defect.day < small.last_day for defect in small.defects)
    assert {defect.market_id for defect in small.defects} == {"simulated:BTCUSDT"}


@pytest.mark.parametrize("dataset", ["aggTrades", "trades"])
def test_the_duplicated_block_stands_twice_and_is_all_that_does(small: SimulationSummary, dataset: str) -> None:
    day = defective_day(small, DefectKind.DUPLICATED_BLOCK)
    counts = Counter(text_of(path_of(small.root, LINEAR, dataset, f"{day}")).splitlines()[1:])
    assert set(counts.values()) == {1, 2}
    twice = [row for row, times in counts.items() if times == 2]
    minutes = {int(row.split(",")[-2]) // 60_000 % 1440 for row in twice}
    assert minutes <= set(range(9 * 60, 9 * 60 + 30))


@pytest.mark.parametrize("dataset", ["aggTrades", "trades"])
def test_one_hour_of_trades_is_missing_while_its_kline_is_whole(small: SimulationSummary, dataset: str) -> None:
    day = defective_day(small, DefectKind.MISSING_HOUR)
    time = "transact_time" if dataset == "aggTrades" else "time"
    hours = {int(row[time]) // HOUR_MS % 24 for row in rows_of(path_of(small.root, LINEAR, dataset, f"{day}"))}
    bars = rows_of(path_of(small.root, LINEAR, "klines", f"{day}", "1h"))
    assert set(range(24)) - hours == {14}
    assert Decimal(bars[14]["volume"]) > 0


@pytest.mark.parametrize("dataset", ["aggTrades", "trades"])
def test_the_headerless_file_has_rows_only(small: SimulationSummary, dataset: str) -> None:
    day = defective_day(small, DefectKind.HEADERLESS)
    lines = text_of(path_of(small.root, LINEAR, dataset, f"{day}")).splitlines()
    assert lines[0][0].isdigit()
    bars = rows_of(path_of(small.root, LINEAR, "klines", f"{day}", "1d"))
    quantities = sum(Decimal(line.split(",")[2]) for line in lines)
    assert quantities == Decimal(bars[0]["volume"])


def test_the_absent_day_has_klines_and_no_trades(small: SimulationSummary) -> None:
    day = defective_day(small, DefectKind.ABSENT_DAY)
    for dataset in ("aggTrades", "trades"):
        path = path_of(small.root, LINEAR, dataset, f"{day}")
        assert not path.exists()
        assert not path.with_name(path.name + ".CHECKSUM").exists()
        assert path_of(small.root, INVERSE, dataset, f"{day}").exists()
    assert len(rows_of(path_of(small.root, LINEAR, "klines", f"{day}", "1h"))) == 24


def test_a_correction_replaces_one_day_by_trades_that_sum_to_its_klines(
    small: SimulationSummary, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    shutil.copytree(small.root, root)
    day = defective_day(small, DefectKind.REPLACED_FILE)
    (bar,) = rows_of(path_of(root, LINEAR, "klines", f"{day}", "1d"))

    def traded(dataset: str, quantity: str) -> Decimal:
        return sum((Decimal(r[quantity]) for r in rows_of(path_of(root, LINEAR, dataset, f"{day}"))), Decimal(0))

    assert traded("aggTrades", "quantity") < Decimal(bar["volume"]) * Decimal("0.999")
    before = contents(root)
    keys = publish_correction(root)
    after = contents(root)

    changed = {name for name in after if before[name] != after[name]}
    assert changed == {*keys, *(f"{key}.CHECKSUM" for key in keys)}
    assert {root / key for key in keys} == {path_of(root, LINEAR, d, f"{day}") for d in ("aggTrades", "trades")}
    assert traded("aggTrades", "quantity") == traded("trades", "qty") == Decimal(bar["volume"])
    assert before.keys() == after.keys()
    publish_correction(root)
    assert contents(root) == after


# --- where it may be written ----------------------------------------------------------------------------------------


def tiny(out: Path, **changes: object) -> SimulationSummary:
    arguments: dict[str, object] = {"last_day": LAST_DAY, "days": 7, "trades_days": 7, "rows_per_day": 240}
    return simulate(out, **(arguments | changes))  # type: ignore[arg-type]


def test_the_archive_is_marked_as_simulated_at_its_root(small: SimulationSummary) -> None:
    assert (small.root / MARKER).read_text().startswith("SIMULATED DATA")


def test_a_folder_with_other_things_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(SimulationError, match="not empty"):
        tiny(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_foreign_file_named_like_the_marker_does_not_open_a_folder(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("my notes")
    with pytest.raises(SimulationError, match="another folder"):
        tiny(tmp_path)
    assert (tmp_path / MARKER).read_text() == "my notes"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(SimulationError, match="is a file"):
        tiny(tmp_path / "out")


def test_a_complete_archive_of_the_same_arguments_is_left_as_it_is(tmp_path: Path) -> None:
    first = tiny(tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert tiny(tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == stamps


def test_an_archive_that_lost_an_object_is_written_again(tmp_path: Path) -> None:
    tiny(tmp_path)
    whole = contents(tmp_path)
    path_of(tmp_path, LINEAR, "metrics", f"{LAST_DAY}").unlink()
    tiny(tmp_path)
    assert contents(tmp_path) == whole


def test_other_arguments_replace_an_earlier_simulated_archive_whole(tmp_path: Path) -> None:
    tiny(tmp_path / "here", days=9)
    tiny(tmp_path / "here")
    tiny(tmp_path / "there")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_a_correction_needs_a_complete_archive(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no complete simulated archive"):
        publish_correction(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"days": 6}, "days is 6, fewer than the 7 trades_days"),
        ({"trades_days": 6}, "at least 7"),
        ({"days": -760}, "days is -760"),
        ({"days": 100_000}, "at most 1500"),
        ({"rows_per_day": 10}, "rows_per_day is 10"),
        ({"seed": -1}, "seed is -1"),
        ({"last_day": date(1969, 1, 1)}, "before 1980"),
    ],
)
def test_arguments_that_make_no_archive_are_named_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    with pytest.raises(SimulationError, match=fault):
        tiny(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_all_faults_of_the_arguments_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"trades_days is 0.*rows_per_day is 1"):
        tiny(tmp_path / "out", trades_days=0, rows_per_day=1)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    tiny(tmp_path, progress=lambda fraction, _text: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert len(seen) > 25
