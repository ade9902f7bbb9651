"""dbt builds the message of an event only where something takes it."""

from __future__ import annotations

import io
from collections.abc import Iterator

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


@pytest.fixture
def late() -> Iterator[None]:
    """Events as a build makes them, and then again as dbt does."""
    former = get_event_manager()
    methods = {name: getattr(BaseEvent, name) for name in ("__init__", "__getattr__", "__setattr__")}
    take_events()
    yield
    for name, method in methods.items():
        setattr(BaseEvent, name, method)
    ctx_set_event_manager(former)


@pytest.mark.usefixtures("late")
class TestTheFieldsOfAnEvent:
    def test_are_put_into_a_message_when_something_looks_at_them(self) -> None:
        event = Note(msg="wrong")
        assert "pb_msg" not in vars(event)
        assert event.msg == "wrong"
        assert vars(event)["pb_msg"].msg == "wrong"

    def test_are_those_it_was_made_with_and_those_set_since(self) -> None:
        event = Note(msg="wrong")
        event.msg = "set"
        assert (event.msg, event.message()) == ("set", "set")

    def test_that_do_not_exist_are_an_error(self) -> None:
        with pytest.raises(AttributeError):
            _ = Note(msg="wrong").no_such_field
        with pytest.raises(Exception, match="Unable to parse logging event dictionary"):
            Note(no_such_field=1).message()


@pytest.mark.usefixtures("late")
def test_it_takes_the_place_of_dbts_own_manager() -> None:
    assert isinstance(get_event_manager(), TakenEvents)
