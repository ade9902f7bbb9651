"""Raw zones that are empty, for the tests of ingestion.

Belongs here: where a zone lies. Does not: what is put there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> RawZone:
    """In a folder, and in a bucket of a real server."""
    if request.param == "folder":
        return RawZone(open_store(tmp_path / "store"))
    options: S3Options = request.getfixturevalue("seaweedfs")
    return RawZone(open_store(request.getfixturevalue("s3_url"), options))


@pytest.fixture
def local_zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "store"))
