"""Types that Dagster returns but does not export.

Belongs here: names for annotations only; nothing is imported at run time. Does not: behaviour.

`UnresolvedAssetJobDefinition` is what `dagster.define_asset_job` returns.
    Upstream: https://github.com/dagster-io/dagster/pull/8207 (added), pull/20594 (documentation, closed unmerged).
    Remove when: `dagster` exports it, or `define_asset_job` returns an exported type.
`SerializableErrorInfo` is the type of `DagsterEvent.step_failure_data.error`.
    Upstream: python_modules/libraries/dagster-shared/dagster_shared/error.py; no issue is known.
    Remove when: `dagster` exports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
    from dagster_shared.error import SerializableErrorInfo

    __all__ = ["SerializableErrorInfo", "UnresolvedAssetJobDefinition"]
