"""A claim, a brief and a corrected file through the public command, on two years of klines of a test's own making."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support.archives import KLINE_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

MARKET = "binance_um:BTCUSDT"
FIRST, LAST = date(2024, 1, 1), date(2025, 12, 31)
# Net USD of the planted days; every other day sells between 1 and 97.
LARGEST, CORRECTED, CLAIMED = date(2024, 8, 5), date(2025, 6, 13), date(2025, 10, 10)
SPIKES = {LARGEST: -9000, CORRECTED: -8000, CLAIMED: -7000}
WINDOW = (LAST - FIRST).days + 1

pytestmark = pytest.mark.xdist_group("answers")


def publish_month(archive: ArchiveFolder, month: date, spikes: dict[date, int]) -> str:
    """One month of daily klines; returns the object's key."""
    days = [month + timedelta(days=n) for n in range(31) if (month + timedelta(days=n)).month == month.month]
    rows = []
    for day in days:
        net = spikes.get(day, -1 - (day - FIRST).days * 37 % 97)
        buy_usd = (100_000 + net) / 2
        rows.append(
            f"{millis(day)},100,110,90,105,1000,{millis(day, 86400) - 1},100000,700,{buy_usd / 100:.3f},{buy_usd:.1f},0"
        )
    key = f"data/futures/um/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-{month:%Y-%m}.zip"
    return archive.put(key, rows, header=KLINE_HEADER)


def run(taker: Taker) -> None:
    taker.done("run", "--to", str(LAST))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> ArchiveFolder:
    folder = ArchiveFolder(tmp_path_factory.mktemp("answers") / "archive")
    month = FIRST
    while month <= LAST:
        publish_month(folder, month, SPIKES)
        month = (month + timedelta(days=31)).replace(day=1)
    return folder


@pytest.fixture(scope="module")
def published(archive: ArchiveFolder, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    settings = {
        "TAKER_ARCHIVE_URL": archive.url,
        "TAKER_KLINE_INTERVAL": "1d",
        "TAKER_MARKETS": MARKET,
        "TAKER_FIRST_DAY": str(FIRST),
    }
    taker = Taker(tmp_path_factory.mktemp("answers") / "var", settings)
    run(taker)
    return taker


CLAIM = f"BTCUSDT {CLAIMED} bearish rank {{}} in {(CLAIMED - FIRST).days + 1} days"


class TestQueries:
    """Before the correction."""

    @pytest.mark.parametrize(("rank", "code"), [(3, 0), (2, 1)])
    def test_a_claim_answers_with_its_exit_code(self, published: Taker, rank: int, code: int) -> None:
        assert published.run("claim", CLAIM.format(rank)).returncode == code

    def test_a_claim_whose_window_is_not_there_is_undecided(self, published: Taker) -> None:
        done = published.run("claim", f"BTCUSDT {CLAIMED} bearish rank 3 in 2000 days", "--json")
        assert (done.returncode, json.loads(done.stdout)["outcome"]) == (2, "cannot tell")

    def test_the_brief_agrees_with_the_run(self, published: Taker) -> None:
        (brief,) = json.loads(published.run("brief", "--json").stdout)
        assert brief["bar_date"] == str(LAST)
        assert brief["headline"] in published.run("brief").stdout.replace("\n", "")

    def test_a_seeded_claim_is_published_with_its_verdict(self, published: Taker) -> None:
        assert published.query(
            "select count(distinct claim_id) > 0, bool_and(verdict_sentence <> '') from fct_claim_verdicts"
        ) == [(True, True)]

    def test_nothing_is_revised_yet(self, published: Taker) -> None:
        assert published.query("select count(*) from fct_spike_rank_revisions") == [(0,)]


@pytest.fixture(scope="module")
def corrected(archive: ArchiveFolder, published: Taker) -> str:
    """The venue replaces a month in which one spike was none; the key of its file."""
    key = publish_month(archive, CORRECTED.replace(day=1), {**SPIKES, CORRECTED: -10})
    run(published)
    return key


class TestACorrectedFile:
    """After the questions: this is another publication."""

    def test_revises_the_ranks_it_changed_and_is_named(self, published: Taker, corrected: str) -> None:
        revised = published.query(
            "select cast(bar_at as date), old_value, new_value, cause, source_keys from fct_spike_rank_revisions "
            "where definition_id = 'daily_usd' and side = 'bearish' and bar_at = timestamp '" + str(CORRECTED) + "'"
        )
        assert revised == [(CORRECTED, -8000, -10, "corrected_file", corrected)]
        assert published.query("select distinct cause, source_keys from fct_spike_rank_revisions") == [
            ("corrected_file", corrected)
        ]

    def test_is_judged_as_what_was_built_since_the_publication_before(self, published: Taker, corrected: str) -> None:
        ((audited,),) = published.query("select settings -> 'audited' from publication")
        assert not json.loads(audited)["full_audit"]
        assert json.loads(audited)["judged"].startswith("what was built since the publication of ")

    def test_leaves_what_does_not_depend_on_it(self, published: Taker, corrected: str) -> None:
        assert published.query(
            f"select count(*) from fct_spike_rank_revisions where bar_at < timestamp '{CORRECTED}' - interval 1 day"
        ) == [(0,)]

    def test_changes_the_verdict_on_the_claim(self, published: Taker, corrected: str) -> None:
        assert published.run("claim", CLAIM.format(3)).returncode == 1
        assert published.run("claim", CLAIM.format(2)).returncode == 0

    def test_is_in_the_history_as_parquet_too(self, published: Taker, corrected: str) -> None:
        stored = [
            path for path in Path(published.storage).rglob("*.parquet") if "fct_spike_rank_revisions" in str(path)
        ]
        assert stored
