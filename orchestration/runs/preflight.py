"""What is checked before a run starts.

Belongs here: archives, credentials and folders that a run cannot do without. Does not: the run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from orchestration.config.endpoints import Endpoints
from orchestration.config.storage import Storage


def check_reachable(endpoints: Endpoints, storage: Storage, state: Path) -> None:
    """Fail at once, and in one sentence, when an archive's folder, the credentials of the storage or the state folder
    cannot be used.

    Raises ArchiveUnavailable, StorageError or SettingsError.
    """
    from ingestion.domain.errors import StorageError
    from ingestion.http.fetch import Archives

    archives = Archives(endpoints.archive_location_of)
    for venue in endpoints.archive_venues:
        archives.of(venue)
    archives.close()
    storage.dbt_environment()
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {state}: {error.strerror}; set TAKER_STORAGE_URL (or TAKER_STATE_DIR) to a "
            "folder that you may write to"
        ) from error
