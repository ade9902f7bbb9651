"""What is run was written by its user or by the administrator, and no other could."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestration.state.own_files import read_own, write_own


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.bin"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o000])
def test_a_file_is_written_for_its_user_alone_whatever_the_umask(path: Path, umask: int) -> None:
    former = os.umask(umask)
    try:
        write_own(path, b"code")
    finally:
        os.umask(former)
    assert (stat.S_IMODE(path.stat().st_mode), read_own(path)) == (0o644, b"code")


@pytest.mark.parametrize(
    ("owner", "mode", "is_read"),
    [(1000, 0o644, True), (0, 0o644, True), (1001, 0o644, False), (1000, 0o664, False), (0, 0o646, False)],
)
def test_whose_file_it_is_and_who_may_write_it_decide(
    path: Path, owner: int, mode: int, is_read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"code")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fstat", lambda descriptor: SimpleNamespace(st_uid=owner, st_mode=mode))
    assert read_own(path) == (b"code" if is_read else None)


def test_a_file_that_is_not_there_is_none(path: Path) -> None:
    assert read_own(path) is None
