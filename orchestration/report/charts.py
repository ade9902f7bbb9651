"""The charts: Vega-Lite specifications, made and validated by Altair.

Belongs here: marks, scales, colours. Does not: rows (a specification names its data; the page holds it once)
or HTML. Longer than other modules: one function per chart.

Colours are Okabe and Ito's and never alone: direction is also up and down, a rank a number, a verdict a sign. Text in
charts is `currentColor` and axes are coloured by the style sheet: one specification suits light, dark and print.

Specifications are made once per process: leave them as they are, or copy them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.durable import atomic_write

if TYPE_CHECKING:
    import altair as alt

Spec = dict[str, Any]

SELL: Final = "#D55E00"
BUY: Final = "#0072B2"
QUIET: Final = "#7F8C99"
DAY_MS: Final = 86_400_000

# Category → (colour, sign). The sign is for readers who do not see colours; agreement needs none.
VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "exact": ("#009E73", ""),
    "within_tolerance": ("#56B4E9", "≈"),
    "klines_only": ("#A9B4BF", ""),
    "trades_only": ("#CC79A7", "t"),
    "provisional_only": ("#0072B2", "p"),
    "trades_incomplete": ("#E69F00", "−"),
    "trades_implausible": ("#882255", "!"),
    "conflict": ("#D55E00", "×"),
    "no data": ("#F0E442", "?"),
}
COVERAGES: Final[Mapping[str, tuple[str, str]]] = {
    "complete": ("#0072B2", ""),
    "95 % or more": ("#56B4E9", "·"),
    "below 95 %": ("#E69F00", "−"),
    "no bar": ("#F0E442", "?"),
}
CALENDARS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {"verdict": VERDICTS, "cover": COVERAGES}
HORIZONS: Final = (1, 3, 7, 14, 30)

# Week of the year (from 0) that a month's middle falls into → the month's letter.
_MONTH_AT: Final = {
    2: "J",
    6: "F",
    10: "M",
    15: "A",
    19: "M",
    24: "J",
    28: "J",
    32: "A",
    37: "S",
    41: "O",
    45: "N",
    50: "D",
}

# SI's G is not what a reader calls a thousand million dollars.
_USD_AXIS: Final = "replace(format(datum.value, '~s'), 'G', 'B')"
# A tick shows as much of its date as the distance to the next one needs.
_DATES: Final = {"year": "%Y", "quarter": "%b %Y", "month": "%b %Y", "week": "%d %b", "date": "%d %b"}
_SHOWN: Final = "datum.t > last - days * 86400000"
_QUALITY: Final = "datum.note || 'complete, as published'"
_DOUBTFUL_OPACITY: Final = 0.4


@cache
def net_volume() -> Spec:
    """Daily net taker volume, with the events of the chosen definition. Data: `daily`, `events`."""
    import altair as alt

    bars = (
        alt.Chart(alt.NamedData("daily"))
        .transform_filter(f"{_SHOWN} && isValid(datum.net)")
        .transform_calculate(end=f"datum.t + {DAY_MS}", quality=_QUALITY)
        .mark_rect()
        .encode(
            x=_time_axis(),
            x2="end:T",
            y=_usd_axis("net"),
            y2=alt.datum(0),
            color=alt.condition("datum.net < 0", alt.value(SELL), alt.value(BUY)),
            opacity=alt.condition("isValid(datum.note)", alt.value(_DOUBTFUL_OPACITY), alt.value(1)),
            tooltip=[
                alt.Tooltip("day:N", title="UTC day"),
                alt.Tooltip("net:Q", title="net taker USD", format=","),
                alt.Tooltip("source:N", title="source"),
                alt.Tooltip("coverage:Q", title="coverage", format=".2%"),
                alt.Tooltip("quality:N", title="data"),
            ],
        )
    )
    zero = alt.Chart(alt.InlineData([{}])).mark_rule(color="currentColor", opacity=0.5).encode(y=alt.datum(0))
    events = [*_event_marks("bearish", "triangle-down", 9), *_event_marks("bullish", "triangle-up", -9)]
    return _spec(alt.layer(bars, zero, _noted_days(300), *events), 300)


def make_all() -> None:
    """Make every specification that needs no rows, of which the first waits for Altair's schema."""
    for chart in (net_volume, price, dominance, liquidations, positions, profile):
        chart()
    for side in ("bearish", "bullish"):
        event_study(side)


def _event_marks(side: str, shape: str, offset: int) -> list[alt.Chart]:
    """The events of one side under the chosen definition: a sign at the bar's end, and beyond it the rank."""
    import altair as alt

    events = alt.Chart(alt.NamedData("events")).transform_filter(
        f"{_SHOWN} && datum.definition == definition && datum.side == '{side}'"
    )
    place: dict[str, Any] = {"x": _time_axis(), "y": alt.Y("y:Q")}
    tooltip = [
        alt.Tooltip("bar:N", title="bar (UTC)"),
        alt.Tooltip("side:N", title="side"),
        alt.Tooltip("value:N", title="value"),
        alt.Tooltip("event_rank:Q", title="rank among events of its window"),
        alt.Tooltip("rank:Q", title="rank among bars of its window"),
    ]
    return [
        events.mark_point(shape=shape, filled=True, size=70, color="currentColor", opacity=1, yOffset=offset).encode(
            **place, tooltip=tooltip
        ),
        events.mark_text(yOffset=offset * 2.2, fontSize=12, fontWeight="bold", color="currentColor").encode(
            **place, text="event_rank:N"
        ),
    ]


@cache
def price() -> Spec:
    """Daily close below the net volume, on the same days. Data: `daily`."""
    import altair as alt

    line = (
        alt.Chart(alt.NamedData("daily"))
        .transform_filter(f"{_SHOWN} && isValid(datum.close)")
        .mark_line(color=QUIET, strokeWidth=1.5)
        .encode(
            x=_time_axis(),
            y=alt.Y(
                "close:Q",
                title=None,
                scale=alt.Scale(zero=False),
                axis=alt.Axis(labelExpr=_USD_AXIS, tickCount=4, minExtent=44),
            ),
        )
    )
    hover = line.mark_point(opacity=0, size=60).encode(
        tooltip=[alt.Tooltip("day:N", title="UTC day"), alt.Tooltip("close:Q", title="close", format=",")]
    )
    return _spec(line + hover, 110)


@cache
def dominance() -> Spec:
    """Sell dominance percentile of each day; the outermost hundredths stand out. Data: `daily`."""
    import altair as alt

    base = alt.Chart(alt.NamedData("daily")).transform_filter(f"{_SHOWN} && isValid(datum.sell_pct)")
    tooltip = [
        alt.Tooltip("day:N", title="UTC day"),
        alt.Tooltip("sell_pct:Q", title="percentile", format=".2%"),
        alt.Tooltip("ratio:Q", title="taker sell ratio", format=".4f"),
    ]
    y = alt.Y(
        "sell_pct:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], minExtent=44),
    )
    usual = (
        base.transform_filter("datum.sell_pct > 0.01 && datum.sell_pct < 0.99")
        .mark_circle(size=14, color=QUIET, opacity=0.75, clip=False)
        .encode(x=_time_axis(), y=y, tooltip=tooltip)
    )
    selling = (
        base.transform_filter("datum.sell_pct >= 0.99")
        .mark_point(shape="triangle-down", filled=True, size=75, color=SELL, opacity=1)
        .encode(x=_time_axis(), y=y, tooltip=tooltip)
    )
    buying = (
        base.transform_filter("datum.sell_pct <= 0.01")
        .mark_point(shape="triangle-up", filled=True, size=75, color=BUY, opacity=1)
        .encode(x=_time_axis(), y=y, tooltip=tooltip)
    )
    return _spec(usual + selling + buying, 180)


@cache
def liquidations() -> Spec:
    """Liquidated longs below zero, shorts above; a cross on zero is a day without any data. Data: `daily`."""
    import altair as alt

    base = alt.Chart(alt.NamedData("daily")).transform_filter(_SHOWN).transform_calculate(end=f"datum.t + {DAY_MS}")
    tooltip = [
        alt.Tooltip("day:N", title="UTC day"),
        alt.Tooltip("long:Q", title="longs, USD, at least", format=","),
        alt.Tooltip("short:Q", title="shorts, USD, at least", format=","),
        alt.Tooltip("liq_cov:Q", title="coverage", format=".0%"),
    ]
    longs = (
        base.transform_filter("isValid(datum.long)")
        .transform_calculate(down="-datum.long")
        .mark_rect(color=SELL)
        .encode(x=_time_axis(), x2="end:T", y=_usd_axis("down", signless=True), y2=alt.datum(0), tooltip=tooltip)
    )
    shorts = (
        base.transform_filter("isValid(datum.short)")
        .mark_rect(color=BUY)
        .encode(x=_time_axis(), x2="end:T", y=_usd_axis("short", signless=True), y2=alt.datum(0), tooltip=tooltip)
    )
    absent = (
        base.transform_filter("datum.liq_cov === 0")
        .transform_calculate(noon=f"datum.t + {DAY_MS // 2}")
        .mark_text(text="×", fontSize=13, color="currentColor")
        .encode(x=alt.X("noon:T", title=None, scale=alt.Scale(type="utc")), y=alt.datum(0), tooltip=tooltip)
    )
    zero = alt.Chart(alt.InlineData([{}])).mark_rule(color="currentColor", opacity=0.5).encode(y=alt.datum(0))
    return _spec(alt.layer(longs, shorts, zero, absent), 200)


@cache
def positions() -> Spec:
    """Open interest, the last of each day. Data: `positions`."""
    import altair as alt

    line = (
        alt.Chart(alt.NamedData("positions"))
        .transform_filter(f"{_SHOWN} && isValid(datum.interest)")
        .mark_line(color=QUIET, strokeWidth=1.5)
        .encode(
            x=_time_axis(),
            y=alt.Y(
                "interest:Q",
                title=None,
                scale=alt.Scale(zero=False),
                axis=alt.Axis(labelExpr=_USD_AXIS, tickCount=4, minExtent=44),
            ),
        )
    )
    hover = line.mark_point(opacity=0, size=60).encode(
        tooltip=[
            alt.Tooltip("day:N", title="UTC day"),
            alt.Tooltip("interest:Q", title="open interest, USD", format=","),
            alt.Tooltip("funding:Q", title="funding of the day", format="+.4%"),
        ]
    )
    return _spec(line + hover, 140)


@cache
def profile() -> Spec:
    """The hours of the week: net taker volume as a share of the volume. Data: `profile`."""
    import altair as alt

    base = alt.Chart(alt.NamedData("profile")).transform_filter("isValid(datum.net)")
    place: dict[str, Any] = {
        "x": alt.X("hour:O", title="hour, UTC", axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)),
        "y": alt.Y(
            "weekday:O",
            title=None,
            axis=alt.Axis(
                ticks=False,
                minExtent=44,
                labelExpr="['', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'][datum.value]",
            ),
        ),
        "tooltip": [
            alt.Tooltip("hour:O", title="hour, UTC"),
            alt.Tooltip("net:Q", title="net ÷ volume", format="+.2%"),
            alt.Tooltip("bought:Q", title="hours in which takers bought more", format=".0%"),
            alt.Tooltip("volume:Q", title="mean volume, USD", format=",.0f"),
            alt.Tooltip("r:Q", title="mean return", format="+.3%"),
            alt.Tooltip("n:Q", title="hours"),
        ],
    }
    colours = alt.Scale(range=[SELL, "#F4F6F8", BUY], domainMid=0, interpolate="rgb")
    cells = base.mark_rect().encode(**place, color=alt.Color("net:Q", legend=None, scale=colours))
    signs = (
        base.transform_calculate(sign="datum.net < 0 ? '−' : '+'")
        .mark_text(fontSize=10, color="#000")
        .encode(**place, text="sign:N")
    )
    return _finished((cells + signs).properties(width="container", height=170))


@cache
def event_study(side: str) -> Spec:
    """Returns after the events of one side, against all days of the market. Data: `returns`, `study`."""
    import altair as alt

    wanted = f"datum.definition == definition && datum.side == '{side}'"
    x = alt.X(
        "horizon:O",
        title="days after the entry",
        scale=alt.Scale(domain=list(HORIZONS), paddingInner=0.25),
        axis=alt.Axis(labelAngle=0, domain=False, ticks=False),
    )
    y = alt.Y("r:Q", title=None, axis=alt.Axis(format="+.0%", minExtent=44, tickCount=6))
    each = (
        alt.Chart(alt.NamedData("returns"))
        .transform_filter(wanted)
        .mark_circle(size=42, color=SELL if side == "bearish" else BUY, opacity=0.75)
        .encode(
            x=x,
            y=y,
            xOffset=alt.XOffset("jitter:Q", scale=alt.Scale(domain=[0, 1])),
            tooltip=[
                alt.Tooltip("event:N", title="event (UTC)"),
                alt.Tooltip("horizon:O", title="days"),
                alt.Tooltip("r:Q", title="forward return", format="+.2%"),
            ],
        )
    )
    study = alt.Chart(alt.NamedData("study")).transform_filter(wanted)
    tooltip = [
        alt.Tooltip("horizon:O", title="days"),
        alt.Tooltip("median:Q", title="median after events", format="+.2%"),
        alt.Tooltip("baseline:Q", title="median of all days", format="+.2%"),
        alt.Tooltip("p:Q", title="p-value", format=".3f"),
        alt.Tooltip("n:Q", title="events"),
    ]
    null = study.mark_point(
        shape="diamond", size=130, filled=False, strokeWidth=2, color="currentColor", opacity=1
    ).encode(x=x, y=alt.Y("baseline:Q"), tooltip=tooltip)
    median = study.mark_tick(thickness=4, size=34, color="currentColor", opacity=1).encode(
        x=x, y=alt.Y("median:Q"), tooltip=tooltip
    )
    zero = alt.Chart(alt.InlineData([{}])).mark_rule(color="currentColor", opacity=0.5).encode(y=alt.datum(0))
    layered = alt.layer(zero, each, median, null)
    return _finished(
        layered.add_params(alt.param(name="definition", value="")).properties(width="container", height=260)
    )


@cache
def calendar(field: str, years: tuple[int, ...]) -> Spec:
    """One cell per day: a column per week of the year, a row per weekday, Monday on top, below each other the years.

    Data: `daily`, whose `line` is year-weekday. `field` is `verdict` or `cover`.
    """
    import altair as alt

    categories = CALENDARS[field]
    # A row without a weekday separates the years.
    lines = [f"{year}-{weekday}" for year in years for weekday in range(8)]
    x, y = _calendar_axes(years, lines)
    tooltip = [
        alt.Tooltip("day:N", title="UTC day"),
        alt.Tooltip("verdict:N", title="reconciliation"),
        alt.Tooltip("difference:Q", title="trades − klines, USD", format=","),
        alt.Tooltip("coverage:Q", title="coverage", format=".2%"),
        alt.Tooltip("source:N", title="bars from"),
        alt.Tooltip("intervals:N", title="klines among each other"),
        alt.Tooltip("quality:N", title="data"),
    ]
    colours = alt.Scale(domain=list(categories), range=[colour for colour, _ in categories.values()])
    signs = json.dumps({name: sign for name, (_, sign) in categories.items()}, ensure_ascii=False)
    base = alt.Chart(alt.NamedData("daily")).transform_calculate(quality=_QUALITY)
    cells = base.mark_rect().encode(
        x=x, y=y, color=alt.Color(f"{field}:N", legend=None, scale=colours), tooltip=tooltip
    )
    marked = (
        base.transform_calculate(sign=f"{signs}[datum.{field}]")
        .transform_filter("datum.sign")
        .mark_text(fontSize=11, fontWeight="bold", color="#000")
        .encode(x=x, y=y, text="sign:N", tooltip=tooltip)
    )
    return _finished((cells + marked).properties(width="container", height=len(lines) * 11))


def _calendar_axes(years: tuple[int, ...], lines: list[str]) -> tuple[alt.X, alt.Y]:
    """Weeks with the letters of the months on top, and weekdays with the year beside its middle."""
    import altair as alt

    x = alt.X(
        "week:O",
        title=None,
        scale=alt.Scale(domain=list(range(54)), paddingInner=0.12, paddingOuter=0),
        axis=alt.Axis(
            orient="top",
            labelAngle=0,
            labelOverlap=False,
            domain=False,
            ticks=False,
            values=list(_MONTH_AT),
            labelExpr=f"{json.dumps(_MONTH_AT)}[datum.value]",
        ),
    )
    y = alt.Y(
        "line:O",
        title=None,
        scale=alt.Scale(domain=lines, paddingInner=0.12, paddingOuter=0),
        axis=alt.Axis(
            labelAngle=0,
            labelOverlap=False,
            domain=False,
            ticks=False,
            values=[f"{year}-3" for year in years],
            labelExpr="slice(datum.value, 0, 4)",
            minExtent=36,
            labelPadding=6,
        ),
    )
    return x, y


def _noted_days(height: int) -> alt.Chart:
    """A sign at the foot of the chart for each day that is incomplete or not used as published, also without a bar."""
    import altair as alt

    marks: alt.Chart = (
        alt.Chart(alt.NamedData("daily"))
        .transform_filter(f"{_SHOWN} && isValid(datum.note)")
        .transform_calculate(noon=f"datum.t + {DAY_MS // 2}")
        .mark_text(text="!", fontSize=12, fontWeight="bold", color="currentColor")
        .encode(
            x=alt.X("noon:T", title=None, scale=alt.Scale(type="utc")),
            y=alt.value(height - 6),
            tooltip=[alt.Tooltip("day:N", title="UTC day"), alt.Tooltip("note:N", title="data")],
        )
    )
    return marks


def _time_axis() -> alt.X:
    import altair as alt

    return alt.X(
        "t:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(tickCount=6, labelOverlap=True, format=_DATES)
    )


def _usd_axis(field: str, *, signless: bool = False) -> alt.Y:
    import altair as alt

    label = _USD_AXIS.replace("datum.value", "abs(datum.value)") if signless else _USD_AXIS
    # Room for the marks beyond the longest bars.
    scale = alt.Scale(padding=0 if signless else 26)
    return alt.Y(f"{field}:Q", title=None, scale=scale, axis=alt.Axis(labelExpr=label, tickCount=6, minExtent=44))


def _spec(chart: alt.LayerChart | alt.FacetChart, height: int) -> Spec:
    """A chart over time. The page sets its parameters: the last day shown, how many, and whose events are marked."""
    import altair as alt

    parameters = [
        alt.param(name="days", value=730),
        alt.param(name="definition", value=""),
        alt.param(name="last", value=0),
    ]
    return _finished(chart.add_params(*parameters).properties(width="container", height=height))


def _finished(chart: alt.LayerChart | alt.FacetChart) -> Spec:
    """The specification as a dict, validated against Vega-Lite's schema."""
    import altair as alt

    # Each mark with a label of its own would be thousands for a screen reader; the figure has one, and a table.
    configured = chart.configure(aria=False, background="transparent", font=FONT, view=alt.ViewConfig(stroke=None))
    spec: Spec = configured.to_dict()
    return spec


FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def library(kept_in: Path | None = None) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without imports, as vl-convert bundles them for this Altair.

    Bundling takes seconds and gives the same script until one of these is replaced: it is kept in the folder `kept_in`.
    """
    if kept_in is None:
        return _bundle()
    file = kept_in / f".vega-{library_version()}-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, ValueError):
        digest, _, script = file.read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(script.encode()).hexdigest() == digest:
            return script
    script = _bundle()
    with contextlib.suppress(OSError):  # the next page bundles it again
        for former in kept_in.glob(".vega-*.js"):
            former.unlink()
        with atomic_write(file) as staged:
            staged.write_text(f"{hashlib.sha256(script.encode()).hexdigest()}\n{script}", encoding="utf-8")
    return script


@cache
def _bundle() -> str:
    import vl_convert

    script: str = vl_convert.javascript_bundle(vl_version=library_version())  # type: ignore[call-arg]
    return script


def library_version() -> str:
    """The Vega-Lite whose schema the charts are checked by, as vl-convert names it."""
    from altair import VEGALITE_VERSION

    return ".".join(VEGALITE_VERSION.lstrip("v").split(".")[:2])
