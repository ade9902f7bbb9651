"""What is kept of dbt's preparations is what dbt would make anew, and what no longer fits is made anew."""

from __future__ import annotations

import marshal
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.project import Project
from dbt_common.clients import jinja
from dbt_common.dataclass_schema import ValidationError, dbtClassMixin

from orchestration.state import own_files
from orchestration.warehouse import prepared
from orchestration.warehouse.parsed import load_parsed, parsed_path
from orchestration.warehouse.prepared import (
    NOTHING,
    Prepared,
    keep_prepared,
    load_prepared,
    prepared_path,
    use_prepared,
)
from orchestration.warehouse.profile import PROJECT_DIR


@pytest.fixture(scope="module")
def project(manifest: Path) -> Manifest:
    """A few macros and nodes of the project."""
    del manifest  # parses the project where it has not been parsed
    parsed = load_parsed(parsed_path(PROJECT_DIR))
    assert parsed is not None
    parsed.macros = dict(list(parsed.macros.items())[::20])
    parsed.nodes = dict(list(parsed.nodes.items())[::20])
    return parsed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return prepared_path(tmp_path / parsed_path(PROJECT_DIR).name)


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test lets this process use is forgotten."""
    monkeypatch.setattr(jinja.MacroFuzzEnvironment, "compile", jinja.MacroFuzzEnvironment.compile)
    monkeypatch.setattr(dbtClassMixin, "json_schema", vars(dbtClassMixin)["json_schema"])
    monkeypatch.setattr(prepared, "_made", {})


def kept(path: Path) -> Prepared:
    found = load_prepared(path)
    assert found is not None
    return found


def test_a_macro_and_a_model_are_kept_as_jinja_compiles_them(project: Manifest, path: Path) -> None:
    keep_prepared(path, project)
    texts = [macro.macro_sql for macro in project.macros.values()]
    texts += [node.raw_code for node in project.nodes.values() if node.resource_type == "model"]
    templates = kept(path).templates
    for text in texts:
        assert marshal.loads(templates[prepared._key(text)]) == jinja.get_environment().compile(text)


def test_what_is_kept_is_not_compiled_again() -> None:
    text = "{{ 1 }}"
    use_prepared(Prepared({prepared._key(text): marshal.dumps(jinja.get_environment().compile("{{ 2 }}"))}, {}))
    assert jinja.get_template(text, {}).render({}) == "2"
    assert jinja.get_template("{{ 3 }}", {}).render({}) == "3"


def test_what_was_compiled_for_a_text_is_not_used_for_the_native_value_of_that_text() -> None:
    text = "{{ value }}"
    use_prepared(Prepared({prepared._key(text): marshal.dumps(jinja.get_environment().compile(text))}, {}))
    assert jinja.get_template(text, {}, native=True).render({"value": [1]}) == [1]
    assert jinja.get_template(text, {}).render({"value": [1]}) == "[1]"


def test_a_configuration_is_refused_in_the_same_words_by_a_schema_that_was_kept(project: Manifest, path: Path) -> None:
    use_prepared(NOTHING)
    with pytest.raises(ValidationError) as made:
        Project.validate({"name": 1})  # type: ignore[no-untyped-call]
    keep_prepared(path, project)
    assert f"{Project.__module__}.Project" in kept(path).schemas
    use_prepared(kept(path))
    with pytest.raises(ValidationError) as found:
        Project.validate({"name": 1})  # type: ignore[no-untyped-call]
    assert str(found.value) == str(made.value)
    jsonschema.Draft7Validator.check_schema(Project.json_schema())


def test_two_processes_keep_the_same_bytes(project: Manifest, path: Path) -> None:
    keep_prepared(path, project)
    first = path.read_bytes()
    keep_prepared(path, project)
    assert path.read_bytes() == first


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:20], lambda content: b""])
def test_a_torn_file_is_not_read_and_is_replaced(project: Manifest, path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    keep_prepared(path, project)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert load_prepared(path) is None
    keep_prepared(path, project)
    assert path.read_bytes() == whole


def test_a_file_of_another_python_or_dbt_is_not_read(
    project: Manifest, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_prepared(path, project)
    monkeypatch.setattr(prepared, "version", lambda name: "another")
    other = prepared_path(path.with_name(parsed_path(PROJECT_DIR).name))
    assert load_prepared(other) is None
    shutil.copyfile(path, other)
    assert load_prepared(other) is None


def test_a_file_that_others_may_have_written_is_not_run(project: Manifest, path: Path) -> None:
    keep_prepared(path, project)
    assert load_prepared(path) is not None
    path.chmod(0o664)
    assert load_prepared(path) is None


def test_a_template_with_a_fault_that_no_build_renders_fails_none(path: Path) -> None:
    faulty: Any = SimpleNamespace(macros={"m": SimpleNamespace(macro_sql="{% if %}")}, nodes={})
    keep_prepared(path, faulty)
    assert not path.exists()


def test_files_of_former_states_of_the_project_are_removed_and_those_of_another_python_stay(
    project: Manifest, path: Path
) -> None:
    _, target, digest, versions = path.stem.split("-")
    former = path.with_name(f"prepared-{target}-{'0' * 16}-{versions}.bin")
    other = path.with_name(f"prepared-{target}-{digest}-{'0' * 16}.bin")
    spark = path.with_name(f"prepared-spark-{'0' * 16}-{versions}.bin")
    for each in (former, other, spark):
        each.touch()
    keep_prepared(path, project)
    assert {*path.parent.iterdir()} == {path, other, spark}


def test_nothing_is_kept_where_no_file_can_be_written(
    project: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prepared_path(tmp_path / "absent" / parsed_path(PROJECT_DIR).name)
    monkeypatch.setattr(prepared, "_compiled", lambda manifest: pytest.fail("compiled for nothing"))
    keep_prepared(path, project)
    assert load_prepared(path) is None
    assert not path.parent.exists()


def test_a_full_disk_is_no_error_of_the_build(project: Manifest, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_files, "atomic_write", full)
    keep_prepared(path, project)
    assert not path.exists()
