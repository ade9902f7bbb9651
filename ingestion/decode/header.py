"""The names of a source file's columns.

Belongs here: header rows, files without one, headers in two languages, the columns that must be present.
Does not: the rows below the header (`ingestion.decode.parse`, `ingestion.decode.judge`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Final

from ingestion.decode.unpack import SourceFile
from ingestion.domain.datasets import FileLimits
from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.venues.venue import Layout

_FIGURE: Final = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)


def check_shared(names: Sequence[str], source: SourceFile, layout: Layout) -> None:
    """A file of several symbols can be used only if a column names the symbol of each row."""
    if source.is_shared and not any(c.must_equal is not None and c.name in names for c in layout.columns):
        raise ContractViolation(source.key, ["it holds several symbols and has no column with the symbol of each row"])


def column_names(text: io.BufferedReader, source: SourceFile, layout: Layout, limits: FileLimits) -> list[str]:
    """The names of the file's columns: from its header row, which is consumed, or from the layout if it has none."""
    expected = [c.name for c in layout.columns]
    row = _first_row(text, source, limits)
    if layout.is_bilingual:
        return _bilingual_names(text, row, source, layout)
    first = row.decode("utf-8", "replace").strip().split(",")
    # A damaged first row is still a row: no column's name is a number.
    if first == [""] or any(_FIGURE.fullmatch(value.strip().strip('"')) for value in first):
        return expected
    line = text.readline().decode("utf-8", "replace").lstrip("\ufeff").strip()
    names = [name.strip().strip('"') for name in line.split(",")]
    _check_header(names, line, source, layout)
    return names


def _first_row(text: io.BufferedReader, source: SourceFile, limits: FileLimits) -> bytes:
    """The first line, not consumed. SourceDefect when it is none of a table's."""
    row, end, _ = text.peek(1).partition(b"\n")
    if len(row) > limits.header_bytes:
        length = f"{len(row)} bytes" if end else f"more than {limits.header_bytes} bytes"
        fault = f"its first line has {length}: `{shown_line(row)}`"
    elif row.count(b",") >= limits.columns:
        fault = f"its first line has {row.count(b',') + 1} columns: `{shown_line(row)}`"
    else:
        return row
    raise SourceDefect(f"{source.key} cannot be read, nothing of it was stored: {fault}")


def shown_line(line: bytes | str) -> str:
    """The beginning of a line of a file, as it can be shown."""
    text = line[:800].decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = "".join(character if character.isprintable() else "\ufffd" for character in text[:200])
    return text if len(line) <= len(text) else f"{text}…"


def _check_header(names: Sequence[str], line: str, source: SourceFile, layout: Layout) -> None:
    """Every column that is read is named once, whatever `line` the header is."""
    needed = [c.name for c in layout.columns if c.stored_as or c.name == layout.identity]
    faults = [f"column `{name}` is missing (the header is {shown_line(line)})" for name in needed if name not in names]
    faults += [
        f"column `{name}` is there twice (the header is {shown_line(line)})" for name in needed if names.count(name) > 1
    ]
    if faults:
        raise ContractViolation(source.key, faults)


def _bilingual_names(text: io.BufferedReader, row: bytes, source: SourceFile, layout: Layout) -> list[str]:
    """The names of the columns where a header may have them in two languages, or may be missing.

    A first row that begins as a row of data does (a number, or the symbol) is no header; then the number of its columns
    decides their order.
    """
    line = _text_of(row).strip()
    if not line:
        return [c.name for c in layout.columns]
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    if cells[0].isdecimal() or cells[0] in [c.must_equal for c in layout.columns if c.must_equal is not None]:
        orders = [order for order in layout.headerless if len(order) == len(cells)]
        if not orders:
            raise ContractViolation(source.key, [f"it has no header and {len(cells)} columns: no known order"])
        return list(orders[0])
    text.readline()
    known = {c.name for c in layout.columns}
    names = [next((part for part in [cell, *cell.split("/")] if part.strip() in known), cell).strip() for cell in cells]
    _check_header(names, line, source, layout)
    return names


def _text_of(line: bytes) -> str:
    """A header's text: UTF-8 (with or without a byte order mark), else the common encoding of Chinese text."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("gb18030", "replace")
