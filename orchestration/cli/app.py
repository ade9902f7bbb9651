"""The `taker` command: the same jobs without the UI, with progress and a readable answer.

Belongs here: options, exit codes, errors as sentences. Does not: work; each command is a few calls.

Heavy imports happen inside the commands: `taker --help`, `taker sql` and `taker status` answer at once.
"""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from orchestration.config.settings import Settings
    from orchestration.runs.report import RunReport

app = typer.Typer(
    name="taker",
    help="Who was the aggressor in crypto futures, by how much, and how unusual was that?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FAILED = 1
USAGE = 2
INTERRUPTED = 130
# Of `taker claim`, where 1 and 2 are verdicts.
CLAIM_CODES = {"HOLDS": 0, "FAILS": 1, "UNKNOWN": 2}
NOT_ANSWERED = 3


class _ClaimCommand(TyperCommand):
    """A misspelt option is no verdict either."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "exit_code", None) == USAGE:
                error.exit_code = NOT_ANSWERED  # type: ignore[attr-defined]
            raise


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a day; write YYYY-MM-DD") from None


Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the logs of Dagster and dbt.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables: errors only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable facts on standard output.")]
Demo = Annotated[bool, typer.Option("--demo", help="Of the demo's data instead of yours.")]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Rebuild every day, not only what changed.")]


@app.command()
def run(
    markets: Annotated[
        str | None, typer.Option(help="Comma-separated, such as binance_um:BTCUSDT. Default: TAKER_MARKETS.")
    ] = None,
    first: Annotated[
        date | None, typer.Option("--from", parser=_day, metavar="DAY", help="First UTC day, included.")
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=_day, metavar="DAY", help="Last UTC day, included.")
    ] = None,
    full_refresh: FullRefresh = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ingest, build, audit, publish, and show the latest day.

    Without days: two years of klines, metrics and funding, and the last 7 days of trades and liquidations, up to
    yesterday (UTC), then the hours since, from the venues' REST apis. With --from, every dataset from that day. With
    --to, nothing later than that day.
    """
    with _speaking(debug):
        from orchestration.config.settings import load_settings

        settings = load_settings(markets=markets)
        _run(settings, first, last, full_refresh=full_refresh, quiet=quiet, as_json=as_json, debug=debug)


@app.command()
def collect(
    trades: Annotated[bool, typer.Option("--trades", help="Also the trades of TAKER_MARKETS.")] = False,
    venues: Annotated[
        str | None, typer.Option(help="Comma-separated, such as binance_um,okx. Default: every venue with a feed.")
    ] = None,
    every_symbol: Annotated[
        bool,
        typer.Option("--every-symbol", help="Where a venue must be told each symbol: all it has, not TAKER_MARKETS."),
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long. Default: never.")] = None,
    debug: Debug = False,
) -> None:
    """Listen to the venues' liquidations, and keep what is heard until it is sealed. Ctrl-C or SIGTERM ends it."""
    with _speaking(debug):
        from orchestration.cli.collecting import collect as listen
        from orchestration.config.settings import load_settings

        listen(load_settings(), trades=trades, venues=venues, every_symbol=every_symbol, seconds=seconds)


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the former demo away and simulate anew.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Simulate two markets' archive in ./var/demo and run everything on it."""
    with _speaking(debug):
        from orchestration.cli import demo as demonstration

        if fresh:
            demonstration.forget()
        last_day = demonstration.last_day()
        with _simulating(quiet or as_json) as progress:
            simulated = demonstration.simulate_archive(last_day, progress)
        settings = demonstration.demo_settings(simulated.first_day)
        # Trades from their first day on: the demo's month of them is what its defects are in.
        _run(settings, None, last_day, quiet=quiet, as_json=as_json, debug=debug, recent=simulated.first_trades_day)
        if not (quiet or as_json):
            from orchestration.cli import terminal

            terminal.stdout().print(demonstration.next_steps())


@app.command()
def status(
    every_defect: Annotated[
        bool, typer.Option("--defects", help="List everything that was not used as published, not only the beginning.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Per dataset and market: first and last day, what is missing, refused, partial or corrected.

    Then what was published and not used as published: rows set aside, files refused or replaced, implausible days. And
    alerts not delivered.
    """
    with _speaking(debug):
        from orchestration.alerts import outbox
        from orchestration.cli import terminal
        from orchestration.serving import answer

        settings = _settings(demo)
        # Before what may fail, and beside the series: those are a list that others parse.
        terminal.show_undelivered(terminal.stderr(), outbox.undelivered(settings.alerts_path))
        series = answer.raw_status(settings)
        if as_json:
            print(answer.as_json(series))
        else:
            terminal.show_status(terminal.stdout(), series, every_defect=every_defect)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One query over the published marts, or - to read it from a pipe.")],
    demo: Demo = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    debug: Debug = False,
) -> None:
    """Query serving/marts.duckdb."""
    with _speaking(debug):
        from orchestration.cli import terminal
        from orchestration.serving import answer

        text = sys.stdin.read() if query == "-" else query
        names, rows = answer.query(_settings(demo).serving_path, text)
        if as_json:
            print(answer.as_json([dict(zip(names, row, strict=True)) for row in rows]))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows([names, *rows])
        else:
            terminal.show_rows(terminal.stdout(), names, rows)


@app.command(cls=_ClaimCommand)
def claim(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help='Such as "BTCUSDT 2026-01-31 bearish rank 3 in 730 days".'),
    ] = None,
    market: Annotated[str | None, typer.Option(help="Market, or its symbol where only one venue has it.")] = None,
    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="UTC day of the spike.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First UTC day of a range.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last UTC day of a range.")] = None,
    side: Annotated[str | None, typer.Option(help="bearish or bullish.")] = None,
    rank: Annotated[str | None, typer.Option(metavar="N", help="Claimed rank, 1 = the largest.")] = None,
    days: Annotated[str | None, typer.Option(metavar="N", help="Window in days. Default: 730.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", help="Day of the claim. Default: the end of the spike's day."),
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a sentence such as "the third-largest bearish spike in two years".

    Exit codes: 0 it holds under at least one spike definition, 1 under none, 2 the data cannot tell, 3 the claim was
    not understood or nothing is published.
    """
    with _speaking(debug, failed=NOT_ANSWERED, usage=NOT_ANSWERED):
        from orchestration.cli import terminal
        from orchestration.serving import answer, claims

        asked = claims.understand(
            " ".join(words or ()),
            market=market,
            day=day,
            first=first,
            last=last,
            side=side,
            rank=rank,
            window_days=days,
            as_of=as_of,
        )
        answered = claims.check(_settings(demo).serving_path, asked)
        if as_json:
            print(answer.as_json(claims.facts(answered)))
        else:
            terminal.show_claim(terminal.stdout(), answered)
        raise typer.Exit(CLAIM_CODES[answered.outcome.name])


@app.command()
def brief(
    day: Annotated[
        date | None, typer.Option("--date", parser=_day, metavar="DAY", help="UTC day. Default: each market's latest.")
    ] = None,
    market: Annotated[str | None, typer.Option(help="Market, or its symbol. Default: every published one.")] = None,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """A day in one honest sentence, and the numbers behind it."""
    with _speaking(debug):
        from orchestration.cli import terminal
        from orchestration.serving import answer

        briefs = answer.briefs(_settings(demo).serving_path, day, market)
        if as_json:
            print(answer.as_json(briefs))
        else:
            terminal.show_briefs(terminal.stdout(), briefs)
            if day is None:
                shown = [brief["market_id"] for brief in briefs]
                terminal.show_liquidations(
                    terminal.stdout(), answer.last_liquidations(_settings(demo).serving_path, shown)
                )


@app.command()
def alerts(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; record and send nothing.")
    ] = False,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Also send again what the receiver refused.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Send to TAKER_ALERT_WEBHOOK_URL what deserves an alert and was not told yet, and what is undelivered.

    Exit codes: 0 all is told, 1 something is undelivered or could not be judged, 2 there is no receiver.
    """
    with _speaking(debug):
        from orchestration.alerts import evaluation
        from orchestration.cli import terminal
        from orchestration.serving import answer

        settings = _settings(demo)
        with _instance_if_any(settings) as instance:
            if dry_run:
                done = evaluation.rehearse(settings.alerts, latest_run=_latest_run(instance))
            else:
                done = evaluation.evaluate(
                    settings.alerts, latest_run=_latest_run(instance), retry_refused=retry_refused
                )
        if as_json:
            print(answer.as_json(evaluation.facts(done)))
        else:
            terminal.show_alerts(terminal.stdout(), done)
        if done.faults:
            _fail("; ".join(done.faults))
        if done.undelivered and not dry_run:
            _fail(f"{len(done.undelivered)} alert(s) undelivered; the sensor `alerts` and this command try again")


@app.command()
def report(
    demo: Demo = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only say where it is.")] = False,
    debug: Debug = False,
) -> None:
    """Open the report of the standing publication in the browser."""
    with _speaking(debug):
        from orchestration.report.command import show_report

        page, opened = show_report(_settings(demo).serving_path, browser=not no_open)
        print(page if opened or no_open else f"no browser was found; open {page}")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write the archive to.")],
    days: Annotated[int, typer.Option(min=1, help="Days of klines, metrics and funding.")] = 760,
    trades_days: Annotated[int, typer.Option(min=0, help="Last days that get trades and liquidations.")] = 30,
    rows_per_day: Annotated[int, typer.Option(min=1, help="aggTrades of an ordinary day.")] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed and days give the same bytes.")] = 7,
    last_day: Annotated[
        date | None, typer.Option(parser=_day, metavar="DAY", help="Last simulated UTC day. Default: yesterday.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the archive of a simulated exchange, laid out like the real one."""
    with _speaking(debug):
        from dataclasses import asdict

        from ingestion.simulator.simulated import simulate as write_archive
        from orchestration.config.settings import yesterday
        from orchestration.serving import answer

        with _simulating(quiet or as_json) as progress:
            summary = write_archive(
                out,
                last_day=last_day or yesterday(),
                days=days,
                trades_days=trades_days,
                rows_per_day=rows_per_day,
                seed=seed,
                progress=progress,
            )
        if as_json:
            print(answer.as_json(asdict(summary)))
        elif not quiet:
            markets = ",".join(summary.markets)
            print(
                f"SIMULATED archive of {markets}, {summary.first_day} to {summary.last_day}: "
                f"{summary.objects:,} objects, {summary.bytes / 1e6:,.1f} MB in {out}\n"
                f"Use it: TAKER_ARCHIVE_URL={out.absolute().as_uri()} TAKER_MARKETS={markets} taker run"
            )


@app.command()
def ui(
    demo: Demo = False,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    debug: Debug = False,
) -> None:
    """Open Dagster on 127.0.0.1, with the runs of this command line in it."""
    with _speaking(debug):
        from orchestration.cli.ui import serve

        serve(_settings(demo), port)


def _run(
    settings: Settings,
    first: date | None,
    last: date | None,
    *,
    quiet: bool,
    as_json: bool,
    debug: bool,
    full_refresh: bool = False,
    recent: date | None = None,
) -> None:
    from orchestration.cli import terminal
    from orchestration.runs import execution
    from orchestration.serving import answer

    errors = terminal.stderr()
    shown = not (quiet or as_json or debug)
    with terminal.TerminalProgress(errors) if shown else contextlib.nullcontext() as progress:
        report = execution.run(
            settings, first, last, recent=recent, progress=progress, full_refresh=full_refresh, debug=debug
        )
    markets = [market.market_id for market in settings.markets]
    days = answer.latest_days(settings.serving_path, markets) if report.published else []
    liquidations = answer.last_liquidations(settings.serving_path, markets) if report.published else []
    disagreements = answer.disagreements(settings.serving_path, markets) if report.published else []
    unvalued = answer.unvalued(settings.serving_path, markets) if report.published else []
    terminal.show_latest(errors if quiet or as_json else terminal.stdout(), report.losses)
    if as_json:
        facts = _facts(settings, report, days, liquidations, disagreements) | {"unvalued_markets": unvalued}
        print(answer.as_json(facts))
    elif not quiet:
        terminal.show_days(terminal.stdout(), days)
        terminal.show_liquidations(terminal.stdout(), liquidations)
    notes = [] if quiet or as_json else [*unvalued, *disagreements]
    terminal.show_report(errors, report, notes, problems_only=quiet or as_json)
    if not report.published:
        standing = "the former publication stands" if settings.serving_path.exists() else "nothing is published yet"
        if report.nothing_ingested:
            _fail(f"nothing could be ingested, {standing}; the reason is above")
        _fail(f"the marts were not published, {standing}; the reasons are above")
    if not report.succeeded:
        failed = len(report.failed_objects) + len(report.problems)
        _fail(f"published, but {failed} thing(s) failed, listed above; run the same command again to retry")


def _facts(
    settings: Settings, report: RunReport, days: list[Any], liquidations: list[Any], disagreements: list[str]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "published": report.published,
        "simulated": settings.is_simulated,
        "objects": dict(report.outcomes),
        "absent_objects": {dataset: count for dataset, count in report.absent.items() if count},
        "bytes_downloaded": report.bytes_downloaded,
        "failed_objects": [{"object": name, "fault": fault} for name, fault in report.failed_objects],
        "refused_objects": [{"object": name, "reason": reason} for name, reason in report.refused],
        "losses": asdict(report.losses) if report.losses is not None else None,
        "notices": report.notices,
        "problems": report.problems,
        "checks": [asdict(check) for check in report.checks],
        "disagreements": disagreements,
        "run_ids": report.run_ids,
        "database": str(settings.serving_path),
        "markets": days,
        "liquidations_24h": liquidations,
    }


def _settings(demo: bool) -> Settings:
    if demo:
        from orchestration.cli.demo import demo_settings

        return demo_settings()
    from orchestration.config.settings import load_settings

    return load_settings()


@contextlib.contextmanager
def _instance_if_any(settings: Settings) -> Iterator[Any]:
    """Where runs are recorded; None where none has been, and none is made by asking."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        yield None
        return
    from orchestration.runs.instance import open_instance

    with open_instance(settings.dagster_home) as instance:
        yield instance


def _latest_run(instance: Any) -> Any:
    """What reads the latest run that was to publish; None without an instance."""
    if instance is None:
        return None
    from orchestration.automation.publishing_runs import latest_publishing_run

    return lambda: latest_publishing_run(instance)


@contextlib.contextmanager
def _simulating(quiet: bool) -> Iterator[Any]:
    """A bar for the simulation: `progress(fraction, text)`."""
    if quiet:
        yield lambda fraction, text: None
        return
    from rich.progress import Progress

    from orchestration.cli import terminal

    with Progress(console=terminal.stderr(), transient=True) as bars:
        task = bars.add_task("simulate", total=1.0)
        yield lambda fraction, text: bars.update(task, completed=fraction, description=f"simulate {text}")


@contextlib.contextmanager
def _speaking(debug: bool, *, failed: int = FAILED, usage: int = USAGE) -> Iterator[None]:
    """Expected errors become one sentence and an exit code; a traceback only with --debug."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        print("interrupted; what was stored stays, run the same command again to go on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if debug:
            raise
        text = str(error) or type(error).__name__
        expected = _is_expected(error)
        _fail(
            text if expected else f"{type(error).__name__}: {text}; run again with --debug for the details",
            usage if _is_usage(error) else failed,
        )


def _is_usage(error: Exception) -> bool:
    from orchestration.alerts.evaluation import NoReceiver
    from orchestration.config.settings import SettingsError
    from orchestration.runs.ranges import RangeError
    from orchestration.serving.answer import DayNotPublished, MarketNotPublished
    from orchestration.serving.claims import ClaimNotUnderstood

    usage = RangeError | SettingsError | ClaimNotUnderstood | MarketNotPublished | DayNotPublished | NoReceiver
    return isinstance(error, usage)


def _is_expected(error: Exception) -> bool:
    """Raised by us, so its text is a sentence already."""
    return type(error).__module__.startswith(("orchestration.", "ingestion."))


def _fail(sentence: str, code: int = FAILED) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Console script `taker`."""
    app()
