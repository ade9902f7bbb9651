"""What dbt printed, in few words.

Belongs here: which lines of a failed command a person needs. Does not: running it (`orchestration.warehouse.dbt`).
"""

from __future__ import annotations

import re
import signal
from typing import Final

_TRACEBACK: Final = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n(?=[ \t]))*(?:\S.*(?:\n|\Z))?", re.MULTILINE
)
# The calls below an error of Java, and of Python inside of Spark.
_JAVA_CALLS: Final = re.compile(r"^\s*(?:at [\w.$<>/]+\(.*\)|\.\.\. \d+ more|JVM stacktrace:)$", re.MULTILINE)
_KILLED: Final = re.compile(r"dbt CLI process with command.*failed with exit code `-(\d+)`", re.DOTALL)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_BETWEEN_TRACEBACKS: Final = re.compile(
    r"^(?:During handling of the above exception, another exception occurred|"
    r"The above exception was the direct cause of the following exception):\n?",
    re.MULTILINE,
)


def killed_sentence(text: str) -> str | None:
    """What a dbt that a signal has ended left of a build, from the error of its step; None for any other error."""
    found = _KILLED.search(text)
    if found is None:
        return None
    number = int(found[1])
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    memory = "; a machine that runs out of memory does that" if name == "SIGKILL" else ""
    return f"dbt was ended by {name}{memory}; nothing of this build is published. Run the same command again"


def without_tracebacks(text: str, most_lines: int = 15) -> str:
    """What a failed command reported, without colours, tracebacks and repeated lines; of much, the beginning."""
    text = _JAVA_CALLS.sub("", text)
    text = _BETWEEN_TRACEBACKS.sub("", _TRACEBACK.sub("", f"{_COLOURS.sub('', text).strip()}\n"))
    reported = (line.rstrip() for line in text.splitlines() if line.strip() not in ("", "Encountered an error:"))
    lines = list(dict.fromkeys(reported))
    if len(lines) > most_lines:
        more = len(lines) - most_lines
        lines = [*lines[:most_lines], f"… and {more:,} more lines; the run in Dagster (`taker ui`) has all of them"]
    return "\n".join(lines)
