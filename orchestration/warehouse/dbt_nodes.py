"""dbt's work for each node, without what is the same for all of them.

Belongs here: the overridden functions of dbt-core. Does not: its events (`orchestration.warehouse.events`), or what is
overridden of Dagster (`orchestration.compat`).

A build of this project has some 170 nodes, each rendered in two or three contexts: that costs as much as their SQL.

`MacroNamespaceBuilder.build_namespace`: the original sorts each of 800 macros into its place, by name and package, for
each context. The places depend on the package of the node alone: here they are found once.
    Upstream: https://github.com/dbt-labs/dbt-core/issues/12886, https://github.com/dbt-labs/dbt-core/pull/15526.
    Remove when: dbt-core has that change, which makes a macro when it is called (1.11 has not).
`inject_ctes_into_sql`: the original parses all of a model's SQL with sqlparse, to find whether it begins with `with`.
Here the beginning is read. SQL that begins with anything but `with` or `select` is left to the original.
    Upstream: https://github.com/dbt-labs/dbt-core/pull/7919 (closed, sqlparse was kept), dbt/compilation.py.
    Remove when: dbt finds that place without parsing the SQL, or the project has no ephemeral models.
`write_file`: the original writes the SQL of each node twice, `compiled` and `run`, whatever is there. To write a file
anew waits for the disk; here what is there already stays.
    Upstream: dbt_common/clients/system.py; no issue is known that requests it.
    Remove when: dbt compares, or has an option to write none.
`empty_table`: the original makes a table without rows for each statement, and with it a parser of dates. Here all
share one, which nothing changes.
    Upstream: dbt_common/clients/agate_helper.py; no issue is known that requests it.
    Remove when: agate makes what guesses types when there is something to guess.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from dbt import compilation
from dbt.artifacts.resources.v1.components import InjectedCTE
from dbt.clients.jinja import MacroGenerator
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt.contracts.graph import nodes
from dbt.contracts.graph.nodes import Macro
from dbt.include.global_project import PROJECT_NAME as GLOBAL_PROJECT
from dbt_common.clients import agate_helper
from dbt_common.clients.system import write_file

_Macros = dict[str, dict[str, Macro]]

# What goes before the first common table expression: space, comments, and `with`; or `select`, where there is none.
_BEGINNING: Final = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:(?P<select>select)\b|with\s+(?:recursive\s+)?)", re.IGNORECASE | re.DOTALL
)


class _Callable(MacroGenerator):
    """dbt's own, made by one call where it takes three."""

    def __init__(self, macro: Macro, context: dict[str, Any], node: Any, stack: Any) -> None:
        self.macro, self.context, self.node, self.stack = macro, context, node, stack


@dataclass(frozen=True)
class _Place:
    """The names of one namespace, and what picks their macros of all."""

    names: tuple[str, ...]
    pick: Callable[[Sequence[MacroGenerator]], Sequence[MacroGenerator]]

    def filled(self, made: Sequence[MacroGenerator]) -> dict[str, MacroGenerator]:
        return dict(zip(self.names, self.pick(made), strict=True))


class _Namespace(MacroNamespace):
    """dbt's own, whose names were searched for once."""

    def __init__(self, flat: Mapping[str, Any], **by_package: Any) -> None:
        super().__init__(**by_package)
        self._flat = flat

    def __iter__(self) -> Iterator[str]:
        return iter(self._flat)

    def __len__(self) -> int:
        return len(self._flat)

    def __getitem__(self, key: str) -> Any:
        return self._flat[key]


class _Places:
    """Where each macro is found from the nodes of a package: as dbt found it for the first of them."""

    def __init__(self, builder: MacroNamespaceBuilder, by_package: _Macros) -> None:
        self.by_package = by_package  # kept, so that no other project gets its identity
        self._macros = [macro for package in by_package.values() for macro in package.values()]
        found = _original_namespace(builder, by_package, {})
        self._global = self._place(found.global_namespace)
        self._local = self._place(found.local_namespace)
        self._project = self._place(found.global_project_namespace)
        self._packages = {name: self._place(package) for name, package in found.packages.items()}

    def _place(self, namespace: Mapping[str, MacroGenerator]) -> _Place:
        numbers = {id(macro): number for number, macro in enumerate(self._macros)}
        chosen = [numbers[id(generator.macro)] for generator in namespace.values()]
        if len(chosen) > 1:
            return _Place(tuple(namespace), itemgetter(*chosen))
        return _Place(tuple(namespace), lambda made: [made[number] for number in chosen])

    def namespace(self, context: dict[str, Any], node: Any, stack: Any) -> MacroNamespace:
        made = [_Callable(macro, context, node, stack) for macro in self._macros]
        root, local, project = (place.filled(made) for place in (self._global, self._local, self._project))
        packages = {name: place.filled(made) for name, place in self._packages.items()}
        # In the order in which dbt searches: what comes first is found.
        flat = {**project, GLOBAL_PROJECT: project, **packages, **root, **local}
        return _Namespace(
            flat,
            global_namespace=root,
            local_namespace=local,
            global_project_namespace=project,
            packages=packages,
        )


_original_namespace = MacroNamespaceBuilder.build_namespace
_original_injection = compilation.inject_ctes_into_sql
_found: dict[tuple[int, str, str, tuple[str, ...]], _Places] = {}


def build_namespace(self: MacroNamespaceBuilder, macros_by_package: _Macros, ctx: dict[str, Any]) -> MacroNamespace:
    key = (id(macros_by_package), self.root_package, self.search_package, tuple(self.internal_package_names_order))
    places = _found.get(key)
    if places is None:
        places = _found[key] = _Places(self, macros_by_package)
    return places.namespace(ctx, self.node, self.thread_ctx)


def inject_ctes(sql: str, ctes: list[InjectedCTE]) -> str:
    """The SQL with these common table expressions before its own."""
    begins = _BEGINNING.match(sql)
    if not ctes or begins is None:
        injected: str = _original_injection(sql, ctes)
        return injected
    joined = ", ".join(cte.sql for cte in ctes)
    if begins["select"]:
        after_space = len(sql) - len(sql.lstrip())
        return f"{sql[:after_space]}with{joined} {sql[after_space:]}"
    return f"{sql[: begins.end()]}{joined}, {sql[begins.end() :]}"


def write_changed(path: str, contents: str = "") -> bool:
    """dbt's `write_file`, of what is not there yet."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if Path(path).read_text(encoding="utf-8") == contents:
            return True
    written: bool = write_file(path, contents)
    return written


def cheapen_nodes() -> None:
    """From now on dbt, in this process, does these as above. The project has been parsed: no macro is added."""
    MacroNamespaceBuilder.build_namespace = build_namespace  # type: ignore[method-assign]
    compilation.inject_ctes_into_sql = inject_ctes
    nodes.write_file = write_changed  # type: ignore[attr-defined]
    empty = agate_helper.empty_table()  # type: ignore[no-untyped-call]
    agate_helper.empty_table = lambda: empty
