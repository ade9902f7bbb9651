"""What a process loads for good is not looked at for garbage again."""

from __future__ import annotations

import gc

import pytest

from orchestration.state.garbage import loading


def test_what_is_loaded_is_not_looked_at_again_and_what_comes_later_is() -> None:
    gc.unfreeze()
    try:
        with loading():
            loaded = [[each] for each in range(100)]
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(loaded)
        later: list[object] = []
        later.append(later)
        assert any(each is later for each in gc.get_objects())
        assert not any(each is loaded for each in gc.get_objects())
    finally:
        gc.unfreeze()


def test_garbage_is_looked_for_again_after_a_fault() -> None:
    with pytest.raises(ValueError, match="torn"), loading():
        raise ValueError("torn")
    assert gc.isenabled()
    gc.unfreeze()
