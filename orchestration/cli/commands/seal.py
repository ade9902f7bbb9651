"""`taker seal`: what the collector of this machine received becomes raw data, without a build."""

from __future__ import annotations

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import Debug


def seal(debug: Debug = False) -> None:
    """Seal the hours that the collector has finished into the storage, and end: where another machine builds.

    `taker run` and the sensor of `taker ui` do it too.
    """
    with reporting_errors(debug):
        from orchestration.config.settings import load_settings
        from orchestration.runs.collection import seal as sealed

        sealed(load_settings())
