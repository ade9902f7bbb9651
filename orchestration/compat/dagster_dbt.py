"""dagster-dbt as it is without dbt-core in this process.

Belongs here: the import, and the names that this project uses of it. Does not: what they are used for
(`orchestration.defs.warehouse`).

dbt runs in a child process, and importing dagster-dbt imports all of dbt-core into this one too: half of the time that
loading the definitions takes. dagster-dbt works without dbt-core (with dbt Fusion, whose engine is no Python package);
so it is imported while `dbt.version` cannot be. Its selection of nodes then knows no more than "all", which is enough:
the manifest that it gets holds no unit tests.
    Upstream: python_modules/libraries/dagster-dbt/dagster_dbt/compat.py; no issue is known that requests a late import.
    Remove when: importing dagster-dbt does not import dbt-core.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

_HIDDEN = "dbt.version"

if _HIDDEN not in sys.modules and "dagster_dbt" not in sys.modules:
    # What Python finds here, and is no module, it reports as not installed.
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]
    try:
        import dagster_dbt  # noqa: F401
    finally:
        del sys.modules[_HIDDEN]

from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets  # noqa: E402
from dagster_dbt.errors import DagsterDbtCliRuntimeError  # noqa: E402
from dagster_shared.libraries import DagsterLibraryRegistry  # noqa: E402

__all__ = [
    "DagsterDbtCliRuntimeError",
    "DagsterDbtTranslator",
    "DagsterDbtTranslatorSettings",
    "DbtCliResource",
    "dbt_assets",
]

# What the UI shows as the libraries of the code location.
DagsterLibraryRegistry._libraries.pop("dbt-fusion", None)
DagsterLibraryRegistry.register("dbt-core", version("dbt-core"), is_dagster_package=False)
