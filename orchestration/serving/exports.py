"""A query's result as a file that other programs open.

Belongs here: Parquet and Excel. Does not: the query (`orchestration.serving.published`), text on standard output
(`orchestration.cli`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.durable import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa

# Of a sheet, the row of names included.
_EXCEL_ROWS: Final = 1_048_576
_EXCEL_DAY: Final = "yyyy-mm-dd"
_EXCEL_INSTANT: Final = "yyyy-mm-dd hh:mm:ss"
_EXCEL_MEASURED: Final = 1_000
_EXCEL_WIDEST: Final = 80


class TooLongForExcel(ValueError):
    """More rows than a sheet holds. The text names the formats that hold them."""


class NotWritten(OSError):
    """The file cannot be written. The text states why."""


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all is written. Raises NotWritten."""
    try:
        if not path.parent.is_dir():
            raise NotWritten(f"{path} cannot be written: there is no folder {path.parent}")
        with atomic_write(path) as staged:
            yield staged
    except NotWritten:
        raise
    except OSError as error:
        raise NotWritten(error.errno, f"{path} cannot be written: {error.strerror}") from error


def write_parquet(columns: pa.Table, path: Path) -> None:
    """The columns with their types, exact decimals included; a file of that name is replaced when all is written."""
    import pyarrow.parquet as pq

    with _replacing(path) as staged:
        pq.write_table(columns, staged, compression="zstd")


def _width(value: Any) -> int:
    """How many characters Excel shows of it: of a number no more than its 11 digits of the general format."""
    if isinstance(value, datetime):
        return len(_EXCEL_INSTANT)
    if isinstance(value, date):
        return len(_EXCEL_DAY)
    if isinstance(value, bool) or value is None:
        return 5
    if isinstance(value, int | float | Decimal):
        return min(len(str(value)), 15)
    return max(map(len, str(value).split("\n")))


def write_excel(names: Sequence[str], rows: Sequence[Sequence[Any]], path: Path) -> None:
    """One sheet with a frozen row of names. Excel's numbers are doubles: beyond 15 digits they are rounded.

    Text is written as text: what begins with `=` is no formula. Raises TooLongForExcel.
    """
    import xlsxwriter

    if len(rows) >= _EXCEL_ROWS:
        raise TooLongForExcel(
            f"{len(rows):,} rows are more than a sheet of Excel holds ({_EXCEL_ROWS - 1:,}); use --parquet or --csv"
        )
    with _replacing(path) as staged:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        with xlsxwriter.Workbook(str(staged), options) as book:
            sheet = book.add_worksheet("taker")
            days, instants = (
                book.add_format({"num_format": _EXCEL_DAY}),
                book.add_format({"num_format": _EXCEL_INSTANT}),
            )
            sheet.write_row(0, 0, names, book.add_format({"bold": True}))
            sheet.freeze_panes(1, 0)
            for position, name in enumerate(names):
                # Before the rows: they are written as they come. The widest of the first ones is as wide as most.
                widest = max(map(_width, [name, *(row[position] for row in rows[:_EXCEL_MEASURED])]))
                sheet.set_column(position, position, min(widest + 1, _EXCEL_WIDEST))
            for number, row in enumerate(rows, 1):
                for position, value in enumerate(row):
                    if isinstance(value, datetime):
                        sheet.write_datetime(number, position, value, instants)
                    elif isinstance(value, date):
                        sheet.write_datetime(number, position, value, days)
                    elif isinstance(value, bool):
                        sheet.write_boolean(number, position, value)
                    elif isinstance(value, int | float | Decimal):
                        sheet.write_number(number, position, value)
                    elif value is not None:
                        sheet.write_string(number, position, str(value))
