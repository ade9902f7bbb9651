"""The error of this room. Belongs here: `SettingsError`. Does not: errors of what the settings lead to."""

from __future__ import annotations

from ingestion.domain.redaction import redacted


class SettingsError(Exception):
    """A setting is unknown, malformed or contradicts another. The text is one sentence that states what is allowed,
    without the secrets of addresses."""

    def __init__(self, text: str) -> None:
        super().__init__(redacted(text))
