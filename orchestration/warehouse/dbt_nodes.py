"""dbt's work for each node, without what is the same for all of them.

Belongs here: the overridden functions of dbt-core and dbt-duckdb. Does not: its events
(`orchestration.warehouse.events`), what it prepares (`orchestration.warehouse.prepared`), or what is overridden of
Dagster (`orchestration.compat`).

A build of this project has some 170 nodes, each rendered in two or three contexts: that costs as much as their SQL.

`MacroNamespaceBuilder.build_namespace`: the original sorts each of 800 macros into its place, by name and package, for
each context, and makes a callable of each. The places depend on the package of the node alone: here they are found
once, and a macro becomes a callable when a template looks it up.
    Upstream: https://github.com/dbt-labs/dbt-core/issues/12886, https://github.com/dbt-labs/dbt-core/pull/15526.
    Remove when: dbt-core has that change, which makes a macro when it is called (1.11 has not).
`ManifestContext.to_dict`, `_build_namespace`: the original computes all that a template may look up, such as the node
as a dictionary and the arguments of the command line. Here each is computed when it is looked up, and once.
    Upstream: https://github.com/dbt-labs/dbt-core/issues/12886; dbt/context/base.py (`generate_builtins`).
    Remove when: a context of dbt-core computes what is looked up.
`inject_ctes_into_sql`: the original parses all of a model's SQL with sqlparse, to find whether it begins with `with`.
Here the beginning is read. SQL that begins with anything but `with` or `select` is left to the original.
    Upstream: https://github.com/dbt-labs/dbt-core/pull/7919 (closed, sqlparse was kept), dbt/compilation.py.
    Remove when: dbt finds that place without parsing the SQL, or the project has no ephemeral models.
`write_file`: the original writes the SQL of each node twice, `compiled` and `run`, whatever is there. To write a file
anew waits for the disk; here what is there already stays.
    Upstream: dbt_common/clients/system.py; no issue is known that requests it.
    Remove when: dbt compares, or has an option to write none.
`empty_table`, `build_type_tester`: the original makes a table without rows for each statement, types for each query,
and with them parsers of dates. Here all share one, which nothing changes.
    Upstream: dbt_common/clients/agate_helper.py; no issue is known that requests it.
    Remove when: agate makes what guesses types when there is something to guess.
`NativeSandboxTemplate.new_context`: the original copies the whole context for each argument of a data test. Here it is
looked at where it is, as dbt does for all other templates.
    Upstream: dbt_common/clients/jinja.py (`MacroFuzzTemplate.new_context`); no issue is known that requests it.
    Remove when: both templates have the same `new_context`.
`initialize_cursor`: the original sets each setting of the profile for each node, also those that are variables for a
plain `dbt build` (`target.settings`), which no statement reads.
    Upstream: dbt/adapters/duckdb/environments/__init__.py; no issue is known that requests it.
    Remove when: a plain build gets its variables otherwise.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any, Final

import agate  # type: ignore[import-untyped]
from dbt import compilation
from dbt.adapters.duckdb.environments import Environment
from dbt.artifacts.resources.v1.components import InjectedCTE
from dbt.clients.jinja import MacroGenerator
from dbt.context.base import BaseContext
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt.context.manifest import ManifestContext
from dbt.contracts.graph import nodes
from dbt.contracts.graph.nodes import Macro
from dbt.include.global_project import PROJECT_NAME as GLOBAL_PROJECT
from dbt_common.clients import agate_helper
from dbt_common.clients.jinja import MacroFuzzTemplate, NativeSandboxTemplate
from dbt_common.clients.system import write_file

_ByPackage = dict[str, dict[str, Macro]]

# What goes before the first common table expression: space, comments, and `with`; or `select`, where there is none.
_BEGINNING: Final = re.compile(
    r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:(?P<select>select)\b|with\s+(?:recursive\s+)?)", re.IGNORECASE | re.DOTALL
)


class _Macros:
    """The macros of one context, each made when it is looked up for the first time."""

    def __init__(self, macros: Sequence[Macro], context: dict[str, Any], node: Any, stack: Any) -> None:
        self._macros, self._arguments = macros, (context, node, stack)
        self._made: dict[int, MacroGenerator] = {}

    def __getitem__(self, number: int) -> MacroGenerator:
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = MacroGenerator(self._macros[number], *self._arguments)
        return made


class _Named(MutableMapping[str, MacroGenerator]):
    """The macros of one namespace by name. A unit test puts others in their place."""

    def __init__(self, numbers: Mapping[str, int], macros: _Macros) -> None:
        self._numbers, self._macros = numbers, macros
        self._others: dict[str, MacroGenerator] | None = None

    def __getitem__(self, name: str) -> MacroGenerator:
        return self._macros[self._numbers[name]] if self._others is None else self._others[name]

    def __contains__(self, name: object) -> bool:
        return name in (self._numbers if self._others is None else self._others)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers if self._others is None else self._others)

    def __len__(self) -> int:
        return len(self._numbers if self._others is None else self._others)

    def __setitem__(self, name: str, macro: MacroGenerator) -> None:
        self._changed()[name] = macro

    def __delitem__(self, name: str) -> None:
        del self._changed()[name]

    def _changed(self) -> dict[str, MacroGenerator]:
        if self._others is None:
            self._others = dict(self)
        return self._others


class _Namespace(MacroNamespace):
    """dbt's own, whose names were searched for once. `places`: the attribute that has the macro, by name."""

    def __init__(self, places: Mapping[str, str], **by_package: Any) -> None:
        super().__init__(**by_package)
        self._places = places

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, name: str) -> Any:
        found = getattr(self, self._places[name])
        return found if name == GLOBAL_PROJECT and name not in found else found[name]


class _Places:
    """Where each macro is found from the nodes of a package: as dbt found it for the first of them."""

    def __init__(self, builder: MacroNamespaceBuilder, by_package: _ByPackage) -> None:
        self.by_package = by_package  # kept, so that no other project gets its identity
        self._macros = [macro for package in by_package.values() for macro in package.values()]
        found = _original_namespace(builder, by_package, {})
        self._global = self._numbers(found.global_namespace)
        self._local = self._numbers(found.local_namespace)
        self._project = self._numbers(found.global_project_namespace)
        self._packages = {name: self._numbers(package) for name, package in found.packages.items()}
        # In the order in which dbt searches: what comes first is found.
        self._places = {
            **dict.fromkeys((*self._project, GLOBAL_PROJECT), "global_project_namespace"),
            **dict.fromkeys(self._packages, "packages"),
            **dict.fromkeys(self._global, "global_namespace"),
            **dict.fromkeys(self._local, "local_namespace"),
        }

    def _numbers(self, namespace: Mapping[str, MacroGenerator]) -> dict[str, int]:
        numbers = {id(macro): number for number, macro in enumerate(self._macros)}
        return {name: numbers[id(generator.macro)] for name, generator in namespace.items()}

    def namespace(self, context: dict[str, Any], node: Any, stack: Any) -> MacroNamespace:
        macros = _Macros(self._macros, context, node, stack)
        return _Namespace(
            self._places,
            global_namespace=_Named(self._global, macros),
            local_namespace=_Named(self._local, macros),
            global_project_namespace=_Named(self._project, macros),
            packages={name: _Named(package, macros) for name, package in self._packages.items()},
        )


class _Members(Mapping[str, Any]):
    """What dbt puts into a context beside macros: each is computed when it is looked up for the first time."""

    def __init__(self, of: BaseContext) -> None:
        self._of, self._members = of, of._context_members_
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            member = self._members[name]
            self._found[name] = member.__get__(self._of) if hasattr(member, "__get__") else member
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _whole(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a dictionary that is about all of its names."""

    def of_all(self: Context, *args: Any, **fields: Any) -> Any:
        others, self.others = self.others, ()
        for mapping in others:
            for name in mapping:
                if not dict.__contains__(self, name):
                    self[name] = mapping[name]
        return method(self, *args, **fields)

    return of_all


class Context(dict[str, Any]):
    """What a template sees by name: what is in the dictionary, else in the first of `others` that has the name."""

    others: Sequence[Mapping[str, Any]] = ()

    def __missing__(self, name: str) -> Any:
        for mapping in self.others:
            if name in mapping:
                found = self[name] = mapping[name]
                return found
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or any(name in mapping for mapping in self.others)

    def __bool__(self) -> bool:
        return super().__len__() > 0 or any(self.others)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


for _name in ("__delitem__", "__eq__", "__iter__", "__len__", "__ne__", "__or__", "__reversed__", "__ror__"):
    setattr(Context, _name, _whole(getattr(dict, _name)))
for _name in ("copy", "items", "keys", "pop", "popitem", "setdefault", "values"):
    setattr(Context, _name, _whole(getattr(dict, _name)))


_original_namespace = MacroNamespaceBuilder.build_namespace
_original_injection = compilation.inject_ctes_into_sql
_original_beginning = ManifestContext._build_namespace
_original_context: Callable[[ManifestContext], dict[str, Any]] = ManifestContext.to_dict
_original_tester = agate_helper.build_type_tester
_original_cursor = vars(Environment)["initialize_cursor"].__func__
_found: dict[tuple[int, str, str, tuple[str, ...]], _Places] = {}


def build_namespace(self: MacroNamespaceBuilder, macros_by_package: _ByPackage, ctx: dict[str, Any]) -> MacroNamespace:
    key = (id(macros_by_package), self.root_package, self.search_package, tuple(self.internal_package_names_order))
    places = _found.get(key)
    if places is None:
        places = _found[key] = _Places(self, macros_by_package)
    return places.namespace(ctx, self.node, self.thread_ctx)


def begin_context(self: ManifestContext) -> MacroNamespace:
    """The namespace of a context that nothing has been put into yet."""
    self._ctx = Context()
    return _original_beginning(self)


def context_of(self: ManifestContext) -> dict[str, Any]:
    """The context as a template gets it. A macro hides what dbt has under its name."""
    if not (isinstance(self._ctx, Context) and isinstance(self.namespace, _Namespace)):
        return _original_context(self)
    members = _Members(self)
    beside = {"context": self._ctx, "builtins": members}
    self._ctx.others = (self.namespace, members, beside)
    _ = members["var"]  # its making reads the packages of the project, which macros look for too
    return self._ctx


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


@cache
def _types(text_null_values: tuple[str, ...]) -> list[agate.data_types.DataType]:
    found: list[agate.data_types.DataType] = _original_tester((), text_null_values)._possible_types
    return found


def type_tester(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
    """dbt's own, of types that are made once."""
    types = _types(tuple(string_null_values or ()))
    return agate.TypeTester(force=dict.fromkeys(text_columns, types[-1]), types=types)


def initialize_cursor(cls: type[Environment], creds: Any, cursor: Any, *args: Any) -> Any:
    """dbt-duckdb's own, of the settings that are no variables."""
    fewer = copy(creds)
    fewer.settings = {name: value for name, value in creds.settings.items() if not name.startswith("VARIABLE ")}
    return _original_cursor(cls, fewer, cursor, *args)


def cheapen_nodes() -> None:
    """From now on dbt, in this process, does these as above. The project has been parsed: no macro is added."""
    MacroNamespaceBuilder.build_namespace = build_namespace  # type: ignore[method-assign]
    ManifestContext._build_namespace = begin_context  # type: ignore[method-assign]
    ManifestContext.to_dict = context_of  # type: ignore[method-assign]
    compilation.inject_ctes_into_sql = inject_ctes
    nodes.write_file = write_changed  # type: ignore[attr-defined]
    empty = agate_helper.empty_table()  # type: ignore[no-untyped-call]
    agate_helper.empty_table = lambda: empty
    agate_helper.build_type_tester = type_tester
    NativeSandboxTemplate.new_context = MacroFuzzTemplate.new_context  # type: ignore[assignment]
    Environment.initialize_cursor = classmethod(initialize_cursor)  # type: ignore[assignment]
