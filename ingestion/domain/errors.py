"""What can go wrong on the way from a venue to the raw zone, each with a message a person can act on.

Belongs here: the exception types. Does not: the decision whether a run goes on (`ingestion.archive`).
"""

from __future__ import annotations

from collections.abc import Sequence


class IngestionError(Exception):
    """Base of every expected failure. Its text says what, where, and what to do next."""


class ArchiveUnavailable(IngestionError):
    """The venue's archive did not answer, or refused."""


class AbsenceUnknown(ArchiveUnavailable):
    """The archive denied access to an object, as it does to absent ones where it hides what it has; and nothing shows
    yet that it serves us at all."""


class ObjectGone(ArchiveUnavailable):
    """The archive has no such object, although it has just offered one, or the checksum of one."""


class VenueUnavailable(IngestionError):
    """A venue's api did not answer, or answered that something is wrong with the question."""


class UnknownToVenue(VenueUnavailable):
    """A venue's api knows no such market. To ask more of it, about any day, brings the same answer."""


class VenueRefused(IngestionError):
    """A venue's api wants nothing more from us for now, or ever from here. Asking again makes it worse."""


class ChecksumMismatch(IngestionError):
    """The bytes that arrived are not the bytes the venue published a checksum for. Both are sha256, lower-case hex."""

    def __init__(self, text: str, received: str = "", published: str = "") -> None:
        self.received, self.published = received, published
        super().__init__(text)


class SourceDefect(IngestionError):
    """A verified file cannot be read as what it claims to be: not a zip, wrong members, text where numbers belong."""


class StorageError(IngestionError):
    """The raw zone could not be written or read."""


class ContractViolation(IngestionError):
    """A file was read, and its rows break the dataset's contract. `faults` names every one of them."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        self.where = where
        self.faults = tuple(faults)
        super().__init__(f"{where} breaks its contract, nothing of it was stored: {'; '.join(self.faults)}")
