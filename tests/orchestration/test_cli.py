"""The command line: exit codes, sentences instead of tracebacks, and answers that need no Dagster."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import zipfile
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner, Result

from ingestion.domain.periods import Span
from orchestration.cli.app import app
from orchestration.cli.commands.run import _facts, _fail_unless_published, _Published
from orchestration.config.settings import Settings, load_settings, yesterday
from orchestration.runs import ui
from orchestration.runs.ranges import IngestRange, RangeError, ingest_ranges
from orchestration.runs.report import RunReport
from orchestration.serving.formats import to_json
from orchestration.state.last_run import CheckFinding
from tests.support.claimed import publish_for_claims
from tests.support.publications import Publisher

ROOT = Path(__file__).resolve().parents[2]


def taker(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def marts(tmp_path: Path) -> Path:
    path = tmp_path / "var" / "serving" / "marts.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table fct_net_taker_volume_daily as "
            "select 'binance_um:BTCUSDT' as market_id, date '2026-01-31' as bar_date, "
            "cast('-1598330009.658' as decimal(38, 8)) as net_taker_usd"
        )
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--from", "2024-02-02", "--to", "2024-02-01"], "the first day 2024-02-02 is after the last day"),
        (["run", "--to", "2999-01-01"], "has not ended yet"),
        (["run", "--from", "tomorrow"], "`tomorrow` is not a day; write YYYY-MM-DD"),
        (["run", "--markets", "binance_um:bitcoin"], "symbols are upper case"),
        (["run", "--markets", "simulated:BTCUSDT"], "taker simulate OUT"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = taker(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.output


def test_a_misspelt_variable_is_wrong_usage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_MARKTS", "x")
    done = taker("status")
    assert (done.exit_code, "did you mean TAKER_MARKETS?" in done.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["sql", "select 1"], ["status"], ["sql", "--demo", "select 1"]])
def test_before_anything_is_published_the_error_names_how_to_begin(arguments: list[str]) -> None:
    done = taker(*arguments)
    assert done.exit_code == 1
    assert "`taker demo`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_sql_answers_with_an_aligned_table(marts: Path) -> None:
    done = taker("sql", "select market_id, net_taker_usd from fct_net_taker_volume_daily")
    assert done.exit_code == 0
    assert "binance_um:BTCUSDT" in done.stdout
    assert "1 row" in done.stdout


def test_sql_as_json_keeps_decimals_exact(marts: Path) -> None:
    done = taker("sql", "--json", "from fct_net_taker_volume_daily")
    assert json.loads(done.stdout) == [
        {"market_id": "binance_um:BTCUSDT", "bar_date": "2026-01-31", "net_taker_usd": "-1598330009.65800000"}
    ]


def test_sql_as_csv(marts: Path) -> None:
    done = taker("sql", "--csv", "select market_id, bar_date from fct_net_taker_volume_daily")
    assert done.stdout == "market_id,bar_date\nbinance_um:BTCUSDT,2026-01-31\n"


def test_sql_into_a_parquet_file_keeps_exact_decimals(marts: Path, tmp_path: Path) -> None:
    target = tmp_path / "days.parquet"
    done = taker(
        "sql", "select cast(0.1 as decimal(38, 18)) as exact, date '2026-01-31' as day", "--parquet", str(target)
    )
    assert (done.exit_code, done.stderr) == (0, f"1 row written to {target}\n")
    assert duckdb.execute(f"select typeof(exact), exact::varchar, day::varchar from '{target}'").fetchall() == [
        ("DECIMAL(38,18)", "0.100000000000000000", "2026-01-31")
    ]


def test_sql_into_an_excel_file_writes_numbers_days_and_no_formulas(marts: Path, tmp_path: Path) -> None:
    target = tmp_path / "days.xlsx"
    done = taker(
        "sql", "select 1.5 as number, date '2026-01-31' as day, '=1+1' as text, null as nothing", "--excel", str(target)
    )
    assert done.exit_code == 0, done.stderr
    with zipfile.ZipFile(target) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    # Excel counts days from 1899-12-30.
    assert re.findall(r"<v>([^<]*)</v>", sheet)[-2:] == ["1.5", "46053"]
    assert re.findall(r"<t[^>]*>([^<]*)</t>", sheet) == ["number", "day", "text", "nothing", "=1+1"]
    assert "<f>" not in sheet


def test_columns_of_an_excel_file_are_as_wide_as_what_they_hold(marts: Path, tmp_path: Path) -> None:
    target = tmp_path / "wide.xlsx"
    query = f"select 1 as n, '{'w' * 30}' as text, '{'x' * 500}' as long, timestamp '2026-01-31 05:00' as a_moment"
    assert taker("sql", query, "--excel", str(target)).exit_code == 0
    with zipfile.ZipFile(target) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    widths = [float(width) for width in re.findall(r'<col [^>]*width="([\d.]+)"', sheet)]
    # Of the four, Excel adds the cell's margin; no column is wider than a screen.
    assert [round(width) for width in widths] == [3, 32, 81, 21]


def test_sql_into_a_file_leaves_what_was_there_when_the_query_fails(marts: Path, tmp_path: Path) -> None:
    target = tmp_path / "days.parquet"
    target.write_text("kept")
    assert taker("sql", "selec 1", "--parquet", str(target)).exit_code == 1
    assert target.read_text() == "kept"


def test_sql_shows_a_record_a_row_on_request(marts: Path) -> None:
    lines = taker("sql", "--records", "select 'x' as a, 2 as b union all select 'y', 3").stdout.splitlines()
    assert [line.split() for line in lines] == [
        *(["row", "1"], ["a", "x"], ["b", "2"]),
        *(["row", "2"], ["a", "y"], ["b", "3"]),
        ["2", "rows"],
    ]


def test_two_forms_of_a_result_are_one_too_many(marts: Path) -> None:
    done = taker("sql", "select 1", "--csv", "--json")
    assert done.exit_code == 2
    assert "choose one of" in done.stderr


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from fct_net_taker_volume_dayly", "did you mean `fct_net_taker_volume_daily`?"),
        ("select markt_id from fct_net_taker_volume_daily", "did you mean `market_id`?"),
        ("select d.markt_id from fct_net_taker_volume_daily as d", "did you mean `market_id`?"),
        ("select market from fct_net_taker_volume_daily", "did you mean `market_id`?"),
        ("select * from prices", "`taker tables` lists the tables"),
        ("select elsewhere from fct_net_taker_volume_daily", "it is a column of another"),
    ],
)
def test_a_misspelt_name_in_a_query_gets_the_nearest_one(marts: Path, query: str, message: str) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("create table another as select 1 as elsewhere, '' as markets")
    done = taker("sql", query)
    assert done.exit_code == 1
    assert message in done.stderr


class TestAColumnThatBeginsWithADigit:
    """SQL reads `4h_usd_rank` as the number 4 with the name `h_usd_rank`."""

    @pytest.fixture(autouse=True)
    def published(self, marts: Path) -> None:
        with duckdb.connect(str(marts)) as connection:
            connection.execute('create table briefs as select 3 as "4h_usd_rank"')

    @pytest.mark.parametrize(
        "query",
        [
            "select 4h_usd_rank from briefs",
            "select b.4h_usd_rank from briefs as b",
            "select * from briefs order by 4H_USD_RANK",
        ],
    )
    def test_is_refused_without_its_quotes(self, query: str) -> None:
        done = taker("sql", query)
        assert done.exit_code == 1
        assert 'write "4h_usd_rank" in double quotes' in done.stderr

    @pytest.mark.parametrize(
        "query",
        [
            """select "4h_usd_rank" from briefs""",
            """select b."4h_usd_rank" from briefs as b -- 4h_usd_rank""",
            """select '4h_usd_rank' from briefs /* 4h_usd_rank */""",
            "select 1e3, 4 h_usd_rank from briefs",
        ],
    )
    def test_is_read_with_them(self, query: str) -> None:
        assert taker("sql", query).exit_code == 0


def test_a_wide_result_without_rows_names_its_columns(marts: Path) -> None:
    names = [f"a_column_with_a_long_name_{number}" for number in range(30)]
    done = taker("sql", f"select {', '.join(f'1 as {name}' for name in names)} where false")
    assert f"columns: {', '.join(names)}" in done.stdout.replace("\n", " ")
    assert "0 rows" in done.stdout


class TestTables:
    @pytest.fixture(autouse=True)
    def published(self, marts: Path) -> None:
        with duckdb.connect(str(marts)) as connection:
            connection.execute("comment on table fct_net_taker_volume_daily is 'Net taker volume of days. In USD.'")
            connection.execute("comment on column fct_net_taker_volume_daily.market_id is 'venue:SYMBOL.'")

    def test_each_table_is_a_line_with_its_rows_and_what_it_is(self) -> None:
        done = taker("tables")
        assert re.search(r"fct_net_taker_volume_daily +1 +Net taker volume of days *\n", done.stdout), done.stdout

    def test_a_table_is_described_by_its_columns(self) -> None:
        done = taker("tables", "FCT_NET_TAKER_VOLUME_DAILY")
        assert re.search(r"market_id +varchar +venue:SYMBOL\.", done.stdout), done.stdout

    def test_a_misspelt_table_gets_the_nearest_one(self) -> None:
        done = taker("tables", "net_taker_volume_daily")
        assert done.exit_code == 2
        assert "did you mean `fct_net_taker_volume_daily`?" in done.stderr

    def test_the_facts_are_the_same_as_json(self) -> None:
        (table,) = (one for one in json.loads(taker("tables", "--json").stdout) if one["name"].endswith("daily"))
        assert table == {
            "name": "fct_net_taker_volume_daily",
            "rows": 1,
            "comment": "Net taker volume of days. In USD.",
        }
        assert json.loads(taker("tables", "--json", table["name"]).stdout)[0]["data_type"] == "VARCHAR"


def test_the_version_and_the_short_help() -> None:
    assert re.fullmatch(r"taker \d+\.\d+\.\d+\n", taker("--version").stdout)
    assert taker("run", "-h").stdout == taker("run", "--help").stdout != ""


def test_a_day_may_be_relative(tmp_path: Path) -> None:
    publish_for_claims(tmp_path / "var" / "serving" / "marts.duckdb")
    for written in ("yesterday", "-1d"):
        assert f"there is no brief of {yesterday()}" in taker("brief", "--date", written).stderr


@pytest.mark.parametrize(
    ("query", "message"), [("selec 1", "syntax error"), ("drop table fct_net_taker_volume_daily", "read-only")]
)
def test_sql_refuses_in_one_sentence(marts: Path, query: str, message: str) -> None:
    done = taker("sql", query)
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_traceback_only_with_debug(marts: Path) -> None:
    assert taker("sql", "--debug", "selec 1").exception is not None
    assert isinstance(taker("sql", "selec 1").exception, SystemExit)


def test_no_json_holds_colours_whatever_the_shell_forces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_for_claims(tmp_path / "var" / "serving" / "marts.duckdb")
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "DBT_USE_COLORS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TAKER_ALERT_WEBHOOK_URL", "http://127.0.0.1:9/")
    for arguments in (
        ("sql", r"select chr(27) || '[31mred' as a, '\u001b[0m{\033[1;31m}' as b"),
        ("claim", CLAIM.format(2, 20)),
        ("brief",),
        ("alerts", "--dry-run"),
    ):
        done = taker(*arguments, "--json")
        assert done.exit_code == 0, (arguments, done.stderr)
        json.loads(done.stdout)
        assert "\x1b" not in done.stdout, arguments
        assert not re.search(r"\\u001b|\\033", done.stdout), arguments


def test_the_facts_of_a_run_quote_dbt_without_its_colours(settings: Settings) -> None:
    """`run` and `demo` print these."""
    red = "\x1b[31mERROR\x1b[0m"
    report = RunReport(
        problems=[f"{red} in model"],
        checks=[CheckFinding("mart", "unique", True, f"got {red}")],
        failed_objects=[("klines", red)],
        refused=[("klines", r"\u001b[0mno")],
        notices=[red],
    )
    facts = json.loads(to_json(_facts(settings, report, _Published())))
    assert facts["problems"] == ["ERROR in model"]
    assert facts["checks"][0]["description"] == "got ERROR"
    assert facts["failed_objects"] == [{"object": "klines", "fault": "ERROR"}]
    assert facts["refused_objects"] == [{"object": "klines", "reason": "no"}]
    assert facts["notices"] == ["ERROR"]


CLAIM = "binance_um:BTCUSDT 2024-03-25 bearish rank {} in {} days"


class TestClaims:
    @pytest.fixture(autouse=True)
    def published(self, tmp_path: Path) -> None:
        publish_for_claims(tmp_path / "var" / "serving" / "marts.duckdb")

    @pytest.mark.parametrize(
        ("claim", "code", "message"),
        [
            (CLAIM.format(2, 20), 0, "TRUE under 1 of 2 definitions: UTC days, USD"),
            (CLAIM.format(5, 20), 1, "FALSE under all 2 definitions"),
            (CLAIM.format(2, 730), 2, "CANNOT TELL under 2 of 2 definitions"),
        ],
    )
    def test_the_exit_code_is_the_verdict(self, claim: str, code: int, message: str) -> None:
        done = taker("claim", claim)
        assert (done.exit_code, message in done.stdout) == (code, True)
        assert taker("claim", *claim.split()).stdout == done.stdout

    def test_options_say_the_same_and_json_has_every_definition(self) -> None:
        done = taker(
            "claim", "--market", "binance_um:btcusdt", "--date", "2024-03-25", "--side", "bearish", "--rank", "2",
            "--days", "20", "--as-of", "2024-03-26", "--json",
        )  # fmt: skip
        assert done.exit_code == 0
        facts = json.loads(done.stdout)
        assert (facts["outcome"], facts["claim"]["market"]) == ("holds", "binance_um:BTCUSDT")
        assert {v["definition_id"]: v["holds"] for v in facts["verdicts"]} == {
            "4h_usd": None,
            "daily_base": False,
            "daily_usd": True,
        }

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["claim", "BTCUSDT 2024-03-25 bearsh rank 2"], "did you mean `bearish`?"),
            (["claim", "BTCUSDT 2024-03-25 bearish rank 2"], "may be binance_um:BTCUSDT or simulated:BTCUSDT"),
            (["claim", "ETHUSDTT 2024-03-25 bearish rank 2"], "did you mean `ETHUSDT`?"),
            (["claim", "--sied", "bearish"], "No such option"),
            (["claim"], "the claim lacks a day"),
        ],
    )
    def test_what_is_not_understood_is_no_verdict(self, arguments: list[str], message: str) -> None:
        done = taker(*arguments)
        assert done.exit_code == 3
        assert message in " ".join(done.stderr.replace("│", " ").split())
        assert "Traceback" not in done.output

    def test_of_a_simulated_market_is_labelled(self) -> None:
        assert "SIMULATED" in taker("claim", "simulated:BTCUSDT 2024-03-25 bearish rank 2 in 20 days").stdout

    def test_the_brief_is_the_latest_day_of_every_market(self) -> None:
        done = taker("brief")
        assert done.exit_code == 0
        for headline in (
            "binance_um:BTCUSDT on 2024-04-09",
            "binance_um:ETHUSDT on 2024-04-08",
            "SIMULATED: simulated",
        ):
            assert headline in done.stdout
        assert "at least 484.0 M USD long" in done.stdout

    def test_the_brief_of_one_day_and_market(self) -> None:
        done = taker("brief", "--date", "2024-04-08", "--market", "ethusdt", "--json")
        (brief,) = json.loads(done.stdout)
        assert (brief["bar_date"], brief["net_taker_usd"]) == ("2024-04-08", "-1598330009.65800000")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--date", "2026-01-01", "--market", "ETHUSDT"], "binance_um:ETHUSDT from 2024-04-08 to 2024-04-08"),
            (["--market", "BTCUSDT"], "name the market with its venue"),
            (["--date", "now"], "`now` is not a day"),
        ],
    )
    def test_a_missing_brief_names_the_days_that_are_published(self, arguments: list[str], message: str) -> None:
        done = taker("brief", *arguments)
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.replace("│", " ").split())


def test_a_terminal_of_another_encoding_gets_the_whole_answer(tmp_path: Path) -> None:
    publish_for_claims(tmp_path / "var" / "serving" / "marts.duckdb")
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "sql", "select '≥' as sign, 1 as number"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u2265" in done.stdout


def test_quick_commands_load_neither_dagster_nor_dbt(tmp_path: Path) -> None:
    publish_for_claims(tmp_path / "var" / "serving" / "marts.duckdb")
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from orchestration.cli.app import app\n"
        "assert CliRunner().invoke(app, ['sql', 'select 1']).exit_code == 0\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "claim = 'binance_um:BTCUSDT 2024-03-25 bearish rank 2 in 20 days'\n"
        "assert CliRunner().invoke(app, ['claim', claim]).exit_code == 0\n"
        "assert CliRunner().invoke(app, ['brief']).exit_code == 0\n"
        "heavy = {'dagster', 'dbt', 'great_expectations', 'boto3', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_target_that_failed_after_the_switch_does_not_let_the_former_publication_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings(storage_url=str(tmp_path))
    publisher = Publisher.on(tmp_path)
    publisher.publish_days(1)  # as run-1
    for run_ids, sentence in (
        (["run-1"], "the files are published, and not every other target is; the reasons are above; run it again"),
        (["run-2"], "the marts were not published, the former publication stands; the reasons are above"),
    ):
        with pytest.raises(typer.Exit):
            _fail_unless_published(RunReport(run_ids=run_ids, problems=["published__marts: the catalog"]), settings)
        assert capsys.readouterr().err == f"error: {sentence}\n"


def test_without_days_history_is_long_and_trades_are_a_week(settings: Settings) -> None:
    last = yesterday()
    week = last - timedelta(days=6)
    assert ingest_ranges(settings.scope, None, None) == [
        IngestRange(("klines", "fundingRate"), Span.MONTH, settings.first_day, last),
        IngestRange(("metrics",), Span.DAY, settings.first_day, last),
        IngestRange(("aggTrades", "liquidationSnapshot"), Span.DAY, week, last),
    ]


def test_with_a_first_day_every_dataset_begins_there(settings: Settings) -> None:
    first, last = date(2022, 1, 1), date(2022, 1, 31)
    assert ingest_ranges(settings.scope, first, last) == [
        IngestRange(("klines", "fundingRate"), Span.MONTH, first, last),
        IngestRange(("aggTrades", "metrics", "liquidationSnapshot"), Span.DAY, first, last),
    ]


def test_a_dataset_can_begin_on_a_day_of_its_own_unless_a_first_day_is_requested(settings: Settings) -> None:
    last = yesterday()
    first, late = last - timedelta(days=29), last - timedelta(days=2)
    begins = {"metrics": first, "aggTrades": late, "liquidationSnapshot": late}
    assert ingest_ranges(settings.scope, None, None, begins)[1:] == [
        IngestRange(("metrics",), Span.DAY, first, last),
        IngestRange(("aggTrades", "liquidationSnapshot"), Span.DAY, late, last),
    ]
    assert {found.first_day for found in ingest_ranges(settings.scope, first, None, begins)} == {first}


def test_reversed_days_are_refused(settings: Settings) -> None:
    with pytest.raises(RangeError, match="swap them"):
        ingest_ranges(settings.scope, date(2022, 1, 2), date(2022, 1, 1))


def test_the_ui_refuses_a_port_that_something_else_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster would go on without its web server."""
    monkeypatch.setenv("TAKER_STORAGE_URL", str(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = CliRunner().invoke(app, ["ui", "--port", str(port)])
    assert done.exit_code == 1
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    assert f"--port {port + 1}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_ui_can_be_ended_where_a_shell_started_it_in_the_background(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell without job control ignores SIGINT for `taker ui &`, and Dagster handles SIGTERM as it handles SIGINT."""
    started: list[object] = []
    monkeypatch.setattr("orchestration.runs.ui.ensure_manifest", lambda settings: None)
    monkeypatch.setattr("orchestration.runs.ui.os.chdir", lambda folder: None)
    monkeypatch.setattr("orchestration.runs.ui.os.execve", lambda *_: started.append(signal.getsignal(signal.SIGINT)))
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ui.serve(settings, _free_port())
    finally:
        signal.signal(signal.SIGINT, former)
    assert started == [signal.SIG_DFL]


def test_a_reader_that_stops_reading_gets_no_complaint(marts: Path) -> None:
    command = [sys.executable, "-m", "orchestration.cli", "sql", "--csv", "select range from range(200000)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "range\n"
        running.stdout.close()
        assert running.stderr.read() == ""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
