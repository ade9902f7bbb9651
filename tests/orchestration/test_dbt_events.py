"""dbt builds the message of an event only where something takes it."""

from __future__ import annotations

import io

import pytest
from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager
from dbt_common.events.logger import LineFormat, LoggerConfig
from dbt_common.events.types import Formatting, Note

from orchestration.warehouse.events import TakenEvents, take_events


def manager(level: EventLevel, output: io.StringIO) -> TakenEvents:
    made = TakenEvents()
    made.add_logger(LoggerConfig(name="t", level=level, output_stream=output, line_format=LineFormat.PlainText))
    return made


def built(made: TakenEvents, event: BaseEvent, level: EventLevel | None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the message of the event was made."""
    found: list[str] = []
    original = type(event).message
    monkeypatch.setattr(type(event), "message", lambda self: found.append("") or original(self))
    made.fire_event(event, level)
    return bool(found)


@pytest.mark.parametrize("level", [EventLevel.INFO, EventLevel.WARN, EventLevel.ERROR])
def test_a_debug_event_is_not_built_where_no_log_takes_it(level: EventLevel, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    assert not built(manager(level, output), Formatting(msg="heavy"), EventLevel.DEBUG, monkeypatch)
    assert output.getvalue() == ""


def test_a_debug_event_is_written_to_a_debug_log(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    assert built(manager(EventLevel.DEBUG, output), Formatting(msg="heavy"), EventLevel.DEBUG, monkeypatch)
    assert "heavy" in output.getvalue()


def test_an_event_of_a_level_that_is_logged_reaches_callbacks() -> None:
    made = manager(EventLevel.INFO, io.StringIO())
    found: list[str] = []
    made.add_callback(lambda message: found.append(message.data.msg))
    made.fire_event(Note(msg="heavy"), EventLevel.DEBUG)
    made.fire_event(Note(msg="wrong"), EventLevel.WARN)
    assert found == ["wrong"]


def test_an_event_of_a_level_that_is_logged_is_written() -> None:
    output = io.StringIO()
    manager(EventLevel.INFO, output).fire_event(Note(msg="built"), EventLevel.INFO)
    assert "built" in output.getvalue()


def test_it_takes_the_place_of_dbts_own_manager() -> None:
    former = get_event_manager()
    try:
        take_events()
        assert isinstance(get_event_manager(), TakenEvents)
    finally:
        ctx_set_event_manager(former)
