"""What can go wrong on the way from a venue to the raw zone, each with a message that a person can act on.

Belongs here: the exception types. Does not: the decision whether a run goes on (`ingestion.archive`), or names of
settings: where a message refers to one, the caller has handed in its name (`setting=`, `…_advice=`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.domain.redaction import redacted


class IngestionError(Exception):
    """Base of every expected failure. Its text states what, where, and what to do next, without the secrets of
    addresses."""

    def __init__(self, text: str = "") -> None:
        super().__init__(redacted(text))


class ArchiveUnavailable(IngestionError):
    """The venue's archive did not answer, or refused."""


class NotListed(ArchiveUnavailable):
    """Nothing lists what the archive has: its objects can only be requested by name."""


class AbsenceUnknown(ArchiveUnavailable):
    """The archive denied access to an object, as some archives do for absent ones; and it has not served any object yet
    that would show that this client has access."""


class ObjectGone(ArchiveUnavailable):
    """The archive has no such object, although it has just reported one, or the checksum of one."""


class VenueUnavailable(IngestionError):
    """A venue's API did not answer, or rejected the request."""


class UnknownToVenue(VenueUnavailable):
    """A venue's API knows no such market. Every request about it, for any day, gets the same answer."""


class VenueRefused(IngestionError):
    """A venue's API refuses this address, for now or permanently. Further requests make it worse."""


class ChecksumMismatch(IngestionError):
    """The received bytes do not match the published checksum. Both are sha256, lower-case hex."""

    def __init__(self, text: str, received: str = "", published: str = "") -> None:
        self.received, self.published = received, published
        super().__init__(text)


class SourceDefect(IngestionError):
    """A verified file is unreadable: not a zip, wrong members, text where numbers belong."""


class Due(Exception):
    """A dry run has come to something that a run would request to store, or store. No failure."""


class StorageError(IngestionError):
    """The raw zone could not be written or read."""


class ContractViolation(IngestionError):
    """A file was read, and its rows break the dataset's contract. `faults` names every one of them."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        self.where = where
        self.faults = tuple(faults)
        super().__init__(f"{where} breaks its contract, nothing of it was stored: {'; '.join(self.faults)}")
