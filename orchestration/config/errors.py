"""The error of this room. Belongs here: `SettingsError`. Does not: errors of what the settings lead to."""

from __future__ import annotations


class SettingsError(Exception):
    """A setting is unknown, malformed or contradicts another. The text is one sentence that states what is allowed."""
