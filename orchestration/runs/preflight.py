"""What is checked before a run starts.

Belongs here: archives, storage, credentials and folders that a run cannot do without. Does not: the run.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestration.config.endpoints import Endpoints
from orchestration.config.storage import Storage


def check_reachable(endpoints: Endpoints, storage: Storage, state: Path) -> None:
    """Fail soon, and in one sentence, when an archive's folder, every archive of the network, the storage or its
    credentials, or the state folder cannot be used.

    Raises ArchiveUnavailable, StorageError or SettingsError.
    """
    from ingestion.domain.errors import StorageError
    from ingestion.http.archives import Archives

    archives = Archives(endpoints.archive_location_of)
    for venue in endpoints.archive_venues:
        archives.of(venue)
    archives.close()
    storage.dbt_environment()
    _check_network(endpoints)
    if storage.is_s3:
        from ingestion.raw.stores import check_s3

        check_s3(storage.url, storage.s3_options())
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {state}: {error.strerror}; set TAKER_STORAGE_URL (or TAKER_STATE_DIR) to a "
            "folder that you may write to"
        ) from error


def _check_network(endpoints: Endpoints) -> None:
    """Fail when no archive answers. While one does, the run is worth its while, and reports the others."""
    from ingestion.domain.errors import ArchiveUnavailable
    from ingestion.http.bounds import PREFLIGHT_SECONDS
    from ingestion.http.reach import unreachable_reason

    locations = {endpoints.archive_location_of(venue) for venue in endpoints.archive_venues}
    remote = sorted((each for each in locations if not each.url.startswith("file:")), key=lambda each: each.url)
    if not remote or len(remote) < len(locations):
        return
    with ThreadPoolExecutor(len(remote)) as pool:
        reasons = list(pool.map(lambda each: unreachable_reason(each.url, PREFLIGHT_SECONDS), remote))
    if all(reasons):
        faults = "; ".join(f"{each.url} cannot be reached ({why})" for each, why in zip(remote, reasons, strict=True))
        settings = " and ".join(dict.fromkeys(each.setting for each in remote))
        raise ArchiveUnavailable(
            f"{faults}. Check the network and run the same command again, or set {settings} to a mirror that can be "
            "reached: https://…, http://… or file:///folder"
        )
