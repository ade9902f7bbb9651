"""Expected errors as one sentence and an exit code.

Belongs here: exit codes, and which error is a mistake in the command. Does not: what went wrong.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import typer

from orchestration.cli.hints import as_typed, hints_of_one_command

FAILED = 1
USAGE = 2
INTERRUPTED = 130


@contextlib.contextmanager
def reporting_errors(debug: bool, *, failed: int = FAILED, usage: int = USAGE) -> Iterator[None]:
    """Expected errors become one sentence and an exit code; a traceback only with --debug."""
    with hints_of_one_command(), _as_sentences(debug, failed, usage):
        yield


@contextlib.contextmanager
def _as_sentences(debug: bool, failed: int, usage: int) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise  # of a closed pipe (`taker status | head`) typer ends without a word
    except KeyboardInterrupt:
        print("interrupted; what was stored stays, run the same command again to go on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if debug:
            raise
        if full := _full_disk(error):
            fail(full, failed)
        if isinstance(error, UnicodeEncodeError):
            fail(f"`{_readable(error.object)}` holds bytes that are not UTF-8 text; write it in UTF-8", usage)
        text = str(error) or type(error).__name__
        expected = _is_expected(error)
        fail(
            text if expected else f"{type(error).__name__}: {text}; run again with --debug for the details",
            usage if _is_usage(error) else failed,
        )


def _readable(text: str) -> str:
    """The text with what cannot be written as hexadecimal digits."""
    return text.encode(errors="backslashreplace").decode()[:200]


def _full_disk(error: Exception) -> str | None:
    """The sentence about a full disk, of the folders that the settings name; None where the error is another one."""
    from orchestration.config.settings import SettingsError, load_settings
    from orchestration.state.disk import full_disk_sentence, means_full_disk

    try:
        settings = load_settings()
        folders = [settings.state_dir, *([] if settings.is_s3 else [Path(settings.storage_url)])]
    except SettingsError:
        folders = [Path.cwd()]
    return full_disk_sentence("not finished", folders) if means_full_disk(error, folders) else None


def _is_usage(error: Exception) -> bool:
    from orchestration.alerts.evaluation import NoReceiver
    from orchestration.config.settings import SettingsError
    from orchestration.runs.ranges import RangeError
    from orchestration.serving.claims.parse import ClaimNotUnderstood
    from orchestration.serving.published import DayNotPublished, MarketNotPublished
    from orchestration.serving.tables import TableNotPublished

    of_serving = ClaimNotUnderstood | MarketNotPublished | DayNotPublished | TableNotPublished
    usage = RangeError | SettingsError | NoReceiver | of_serving
    return isinstance(error, usage)


def _is_expected(error: Exception) -> bool:
    """Raised by us, so its text is a sentence already."""
    return type(error).__module__.startswith(("orchestration.", "ingestion."))


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    from ingestion.domain.redaction import redacted
    from orchestration.serving.formats import without_colours

    print(f"error: {redacted(without_colours(as_typed(sentence)))}", file=sys.stderr)
    raise typer.Exit(code)
