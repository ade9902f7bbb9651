"""What dbt makes anew in each process and what is the same each time, kept beside the parsed project.

Belongs here: the project's templates as Jinja compiled them, the schemas of dbt's configuration, and when what is kept
still fits. Does not: the parsed project itself (`orchestration.warehouse.parsed`), or what a template is given
(`orchestration.warehouse.dbt_nodes`).

Jinja compiles the text of each macro and node to Python, for a second of each build. What it makes of a text is the
same in every environment of a class: names, macros and variables are looked up when it runs. dbt makes a schema of each
class of its configuration before it looks whether profile and project have that form.

The first build of a version keeps them, made from the whole parsed project: two that do so at once write the same.
They are code that is run, and lie beside the parsed project, in a folder of the one who builds. What another user may
have written there is not read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dbt_common.clients import jinja
from dbt_common.dataclass_schema import dbtClassMixin

from ingestion.raw.durable import sweep
from orchestration.state.own_files import read_own, write_own

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_ADAPTERS: Final = {"spark": "dbt-spark"}
_PACKAGES: Final = ("dbt-core", "dbt-common", "dbt-adapters", "jinja2", "mashumaro")
_KEPT: Final = "prepared-{}-{}.bin"
_DIGEST_BYTES: Final = 32
# The last version in which the same code has the same bytes: later ones mark what the process refers to elsewhere.
_MARSHAL: Final = 2


class Prepared:
    """`templates`: compiled code, marshalled, by the digest of its text. `schemas`: by the name of their class."""

    def __init__(self, templates: Mapping[bytes, bytes], schemas: Mapping[str, Any]) -> None:
        self.templates, self.schemas = templates, schemas


NOTHING: Final = Prepared(MappingProxyType({}), MappingProxyType({}))


def prepared_path(parsed: Path) -> Path:
    """Where it is kept for the parsed project of that path: another Python, Jinja or dbt has another place."""
    _, target, digest = parsed.stem.split("-")
    return parsed.with_name(_KEPT.format(target, f"{digest}-{_versions(target).hex()[:16]}"))


def load_prepared(path: Path) -> Prepared | None:
    """What is kept there; None where nothing is, or what no build of this user and these versions has written whole."""
    content = read_own(path) or b""
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if digest != _digest(path, payload):  # marshal trusts what it reads
        return None
    return Prepared(*marshal.loads(payload))


def keep_prepared(path: Path, manifest: Manifest) -> None:
    """Compile every macro, model and test of the project, and keep that with the schemas that this process made.

    Nothing where no file can be written: each build then compiles what it needs, as dbt would.
    """
    if not os.access(path.parent, os.W_OK):
        return
    target, digest, _ = path.stem.removeprefix("prepared-").split("-")
    try:
        payload = marshal.dumps((_compiled(manifest), dict(sorted(_made.items()))), _MARSHAL)
        for former in path.parent.glob(_KEPT.format(target, "*")):
            if digest not in former.name:
                former.unlink(missing_ok=True)
        sweep(path.parent, deeply=False)
        write_own(path, _digest(path, payload) + payload)
    except Exception:  # a template that no build renders may have a fault, and no build fails for want of the file
        return


def use_prepared(prepared: Prepared) -> None:
    """From now on, in this process, what is there is not made anew."""

    def compiled(self: jinja.MacroFuzzEnvironment, source: Any, *args: Any, **options: Any) -> Any:
        is_text = type(self) is jinja.MacroFuzzEnvironment and isinstance(source, str) and not args and not options
        if is_text and not jinja.MACRO_DEBUGGING:
            code = prepared.templates.get(_key(source))
            if code is not None:
                return marshal.loads(code)
        return _compile(self, source, *args, **options)

    def schema(cls: type[dbtClassMixin]) -> Any:
        name = f"{cls.__module__}.{cls.__qualname__}"
        found = prepared.schemas.get(name)
        if found is None:
            found = _made[name] = _schema(cls)
        return found

    jinja.MacroFuzzEnvironment.compile = compiled  # type: ignore[method-assign, assignment]
    dbtClassMixin.json_schema = classmethod(schema)  # type: ignore[method-assign, assignment]


_compile = jinja.MacroFuzzEnvironment.compile
_schema = vars(dbtClassMixin)["json_schema"].__func__
_made: dict[str, Any] = {}


def _compiled(manifest: Manifest) -> dict[bytes, bytes]:
    texts = [macro.macro_sql for macro in manifest.macros.values()]
    texts += [node.raw_code for node in manifest.nodes.values() if node.resource_type in ("model", "test")]
    environment = jinja.get_environment()
    return {_key(text): marshal.dumps(environment.compile(text), _MARSHAL) for text in sorted(set(texts))}


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _digest(path: Path, payload: bytes) -> bytes:
    """Of what is kept at a path: what was kept at another, for other versions, has another one."""
    return hashlib.sha256(f"{path.name}\0".encode() + payload).digest()


def _versions(target: str) -> bytes:
    packages = [f"{name} {version(name)}" for name in (*_PACKAGES, _ADAPTERS.get(target, "dbt-duckdb"))]
    return hashlib.sha256("\n".join(packages).encode() + importlib.util.MAGIC_NUMBER).digest()
