"""dagster-dbt's DbtCliResource without what it does before each command.

Belongs here: the overridden methods. Does not: which commands are run (`orchestration.defs.warehouse`).

`_cli_version`: the original runs `dbt --version`, which takes seconds and looks for newer releases online.
    Upstream: https://github.com/dbt-labs/dbt-core/issues/6085 (closed as stale) and
    python_modules/libraries/dagster-dbt/dagster_dbt/core/resource.py.
    Remove when: dagster-dbt reads the version from the installed package.
`_initialize_dbt_core_adapter`: the original loads an adapter into this process, to read row counts and columns with,
which would hold the DuckDB file while dbt needs it.
    Upstream: https://github.com/dagster-io/dagster/pull/20778 (added); no issue is known that requests a switch.
    Remove when: DbtCliResource creates the adapter only when metadata is fetched with it, or has an option not to.
`started_by`: the original starts a process of its own in each case, by `subprocess.Popen` of its module.
    Upstream: dagster_dbt/core/dbt_cli_invocation.py; no issue is known that requests it.
    Remove when: DbtCliInvocation.run takes a process, or a function that starts it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from packaging.version import Version

from orchestration.compat.dagster_dbt import DbtCliResource


class ProjectDbt(DbtCliResource):
    """DbtCliResource that starts dbt at once."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


@contextlib.contextmanager
def started_by(start: Callable[..., subprocess.Popen[bytes]] | None) -> Iterator[None]:
    """In this block, a command of dbt gets the process that `start` returns, which takes the arguments of
    `subprocess.Popen`; without one, a process of its own."""
    invocation = import_module("dagster_dbt.core.dbt_cli_invocation")
    original = vars(invocation)["subprocess"]
    if start is not None:
        stated = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)
        vars(invocation)["subprocess"] = stated
    try:
        yield
    finally:
        vars(invocation)["subprocess"] = original
