"""Importing this prepares, in the process that commands are forked from, what each of them would make anew.

Belongs here: the report's JavaScript and charts, Great Expectations, dbt's parsed project, its compiled templates and
its schemas. Does not: how they are made.

A new state folder bundles the JavaScript for a second and a half, and what bundles it cannot be forked: another process
does it, once. dbt makes a decoder of its parsed project, and schemas of its configuration, for another second. The
tests of the report itself, and every command that is started anew, make them as users do.

Jinja compiles each macro and model to Python, for another second of each build. What it makes of a text is the same in
every environment of a class; names, macros and variables are looked up when it runs.

For the source of two flags that no event is about, dbt's adapter looks through the files of all imported modules, each
time for half a second, and for one and a half where SciPy is then imported: the answer is given.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from types import CodeType

from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.contracts.project import PackageConfig, ProfileConfig, Project, ProjectFlags
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.clients import jinja

from orchestration.report import charts
from orchestration.warehouse.audit.gx import load_great_expectations
from orchestration.warehouse.parsed import load_parsed, parsed_path
from orchestration.warehouse.profile import PROJECT_DIR

_PROGRAM = "import sys; from orchestration.report.charts import library; sys.stdout.write(library())"
_SCRIPT = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
charts._bundle = lambda: _SCRIPT  # type: ignore[assignment]

for _chart in (
    charts.net_volume,
    charts.price,
    charts.dominance,
    charts.liquidations,
    charts.positions,
    charts.profile,
):
    _chart()
for _side in ("bearish", "bullish"):
    charts.event_study(_side)

load_great_expectations()

_compile = jinja.MacroFuzzEnvironment.compile
_compiled: dict[tuple[type[jinja.MacroFuzzEnvironment], str], CodeType] = {}


def _compiled_once(self: jinja.MacroFuzzEnvironment, source: str) -> CodeType:
    key = (type(self), source)
    if key not in _compiled:
        _compiled[key] = _compile(self, source)
    return _compiled[key]


jinja.MacroFuzzEnvironment.compile = _compiled_once  # type: ignore[assignment, method-assign]
_project = load_parsed(parsed_path(PROJECT_DIR))
for _macro in _project.macros.values() if _project else ():
    jinja.template_cache.get_node_template(_macro)
for _node in _project.nodes.values() if _project else ():
    jinja.get_template(_node.raw_code, {}, _node)
for _validated in (DuckDBCredentials, PackageConfig, ProfileConfig, Project, ProjectFlags):
    _validated.json_schema()
BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters.base.impl")  # type: ignore[method-assign]

# What is looked at for garbage is written to, and so copied for each process that is forked.
gc.collect()
gc.freeze()
