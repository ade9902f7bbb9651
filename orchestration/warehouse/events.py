"""dbt's events, without those that nothing takes.

Belongs here: which events are built. Does not: what is done with them (dbt's loggers, `orchestration.defs.warehouse`).

dbt makes a message of every event, thousands of debug ones in a build, before it looks whether any log is open for its
level: an eighth of the time of a build that has little to do. dbt lets a program bring a manager of its own
(`ctx_set_event_manager`); the fields of an event are put into its message when something looks at them.
"""

from __future__ import annotations

from typing import Any, Final

from dbt_common.events.base_types import BaseEvent, EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.event_manager_client import ctx_set_event_manager

_QUIET: Final = (EventLevel.DEBUG, EventLevel.TEST)


class TakenEvents(EventManager):
    """dbt's own manager for every event that a logger takes.

    Callbacks get no debug event either: the one of dbt's command line is about warnings.
    """

    def fire_event(
        self,
        e: BaseEvent,
        level: EventLevel | None = None,
        node: Any = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        is_quiet = (level or e.level_tag()) in _QUIET and not force_warn_or_error_handling
        if is_quiet and all(logger.level not in _QUIET for logger in self.loggers):
            return
        super().fire_event(e, level, node, force_warn_or_error_handling)


_original_init = BaseEvent.__init__


def _hold(self: BaseEvent, *args: Any, **fields: Any) -> None:
    object.__setattr__(self, "_held", (args, fields))


def _message_or_field(self: BaseEvent, name: str) -> Any:
    """Of what an event does not have yet: its message, from the fields it was made with; or a field of that."""
    if name.startswith("__") or name == "_held":
        raise AttributeError(name)
    if name == "pb_msg":
        args, fields = self._held
        _original_init(self, *args, **fields)
        return self.__dict__["pb_msg"]
    return getattr(self.pb_msg, name)


def _set(self: BaseEvent, name: str, value: Any) -> None:
    if name == "pb_msg":
        object.__setattr__(self, name, value)
    else:
        setattr(self.pb_msg, name, value)


def take_events() -> None:
    """From now on dbt, in this process, builds only the events that something takes."""
    for name, function in (("__init__", _hold), ("__getattr__", _message_or_field), ("__setattr__", _set)):
        setattr(BaseEvent, name, function)
    ctx_set_event_manager(TakenEvents())
