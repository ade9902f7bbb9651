"""The vocabulary of the audit: what a suite is, and the rules it may state about the columns of its frame.

Belongs here: plain values. Does not: Great Expectations (`expectations`, `gx`), any suite (`suites`).

Of every rule, `statement` is the sentence shown when it fails, and `shows` names the further columns to show of a
failing row. NULL is judged by `Holds`, `Zero` and `Known` only; the other rules skip it.

`CRITICAL` means that this warehouse is wrong (an identity broken, a key twice, a day lost) and blocks publication.
`WARNING` means that the venue contradicts itself: a person must see it, and the numbers are published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from ingestion.venues import simulated_venues
from orchestration.warehouse.sql import render

Severity = Literal["critical", "warning"]
Columns = tuple[str, ...]

CRITICAL: Final = "critical"
WARNING: Final = "warning"

_SQL: Final = Path(__file__).with_name("sql")


@dataclass(frozen=True)
class AuditSuite:
    """One audited frame and what must hold in it.

    `mart` is the table whose publication the suite guards; several suites may guard one, at different grains. `key`:
    the columns that identify a row of the frame; every sample row begins with them. `sql`: the file in `sql/` that
    draws the frame. `description`: that of the check in Dagster. `follows_changes`: whether an audit that is not full
    judges what a build changed of it; the frames of other suites are drawn whole, since they are small.
    """

    name: str
    mart: str
    key: Columns
    sql: str
    description: str
    rules: tuple[Rule, ...]
    follows_changes: bool = False

    @property
    def query(self) -> str:
        """The SQL that draws the whole frame from the warehouse."""
        return self.drawn(changed=False)

    def drawn(self, *, changed: bool) -> str:
        """The SQL of the frame. `changed`: only of what was built, where the suite follows that (`window`)."""
        return render(
            _SQL / self.sql,
            mart=self.mart,
            key=self.key,
            changed=changed and self.follows_changes,
            simulated_venues=simulated_venues(),
        )


@dataclass(frozen=True)
class Holds:
    """A flag computed in SQL is true on every row; NULL counts as false."""

    column: str
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL
    if_null: ClassVar[bool] = False


@dataclass(frozen=True)
class Zero:
    """A residual computed in SQL is zero on every row; NULL counts as one."""

    column: str
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL
    if_null: ClassVar[int] = 1


@dataclass(frozen=True)
class Between:
    """A number lies within bounds, which belong to it unless it must lie `strictly_above` the lower one."""

    column: str
    low: float | None
    high: float | None
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL
    strictly_above: bool = False


@dataclass(frozen=True)
class AtLeast:
    """One column is no smaller than another, where both are known."""

    larger: str
    smaller: str
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL


@dataclass(frozen=True)
class OneOf:
    """A column holds known values only."""

    column: str
    values: tuple[Any, ...]
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL


@dataclass(frozen=True)
class Never:
    """A column never holds the value that marks a contradiction of the venue's own data; so always a warning."""

    column: str
    value: str
    statement: str
    shows: Columns = ()
    severity: Severity = WARNING


@dataclass(frozen=True)
class Known:
    """A column is never NULL."""

    column: str
    statement: str
    shows: Columns = ()
    severity: Severity = CRITICAL


@dataclass(frozen=True)
class UniqueKey:
    """No two rows share the key of the suite."""

    statement: str = "one row per key"
    shows: Columns = ()
    severity: Severity = CRITICAL


@dataclass(frozen=True)
class NotEmpty:
    """The frame has rows."""

    statement: str = "the mart is not empty"
    shows: Columns = ()
    severity: Severity = CRITICAL


Rule = Holds | Zero | Between | AtLeast | OneOf | Never | Known | UniqueKey | NotEmpty
