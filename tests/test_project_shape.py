"""Rules of the project that a machine can check: what may be read, imported and written where.

Who may import whom is stated in pyproject.toml and checked by import-linter, in `make lint`. Here is what it cannot
state.
"""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def modules_outside(room: str) -> list[Path]:
    """The modules of orchestration that are not in this room."""
    return [path for path in modules_of("orchestration") if path.relative_to(ROOT).parts[1] != room]


@pytest.mark.parametrize("path", modules_outside("config"), ids=lambda path: path.name)
def test_only_settings_read_the_environment(path: Path) -> None:
    reads = re.findall(r"os\.(?:environ\.get|getenv|environ\[[^\]]+\](?!\s*=[^=]))", path.read_text())
    assert not reads


def test_private_interfaces_of_dagster_stay_in_compat() -> None:
    """import-linter sees an external package as a whole, and not which of its modules are private."""
    private = re.compile(r"\bdagster[\w.]*\._\w+|\bdagster_shared\b|\bevent_log_storage\.")
    found = {
        str(path.relative_to(ROOT)): names
        for path in modules_outside("compat")
        if (names := private.findall(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "orchestration" / "compat").glob("[!_]*.py")), ids=lambda path: path.name
)
def test_every_private_interface_has_its_upstream_link_and_the_condition_for_its_removal(path: Path) -> None:
    charter = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert charter.count("Upstream: ") == charter.count("Remove when: ") > 0


@pytest.mark.parametrize(
    "path", [p for package in ("ingestion", "orchestration") for p in modules_of(package)], ids=lambda path: path.name
)
def test_every_module_begins_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("package", ["ingestion", "orchestration"])
def test_what_is_long_states_its_reason(package: str) -> None:
    """A module of more than 400 lines in its charter, a function of more than 50 beside its docstring in that one."""
    silent = []
    for path in modules_of(package):
        tree = ast.parse(path.read_text())
        if tree.body[-1].end_lineno > 400 and "Longer than" not in (ast.get_docstring(tree) or ""):
            silent.append(str(path.relative_to(ROOT)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                reason = ast.get_docstring(node, clean=False) or ""
                lines = node.end_lineno - node.lineno + 1 - (reason.count("\n") + 1 if reason else 0)
                if lines > 50 and "Longer than" not in reason:
                    silent.append(f"{path.relative_to(ROOT)}::{node.name}")
    assert silent == []


def test_few_models_are_long_and_each_states_its_reason() -> None:
    """A model of more than 100 lines in its first comment. At most 13 % of all: of the dbt projects that this one was
    compared with, none has more."""
    models = sorted((ROOT / "dbt_project" / "models").rglob("*.sql"))
    long = {path.name: path.read_text() for path in models if len(path.read_text().splitlines()) > 100}
    first_comments = {
        name: "".join(itertools.takewhile(is_comment, text.splitlines(True))) for name, text in long.items()
    }
    assert [name for name, comment in first_comments.items() if "Longer than 100 lines: " not in comment] == []
    assert len(long) <= 0.13 * len(models)


def is_comment(line: str) -> bool:
    return line.startswith("--")


def test_sql_of_one_engine_stays_in_the_engine_macros() -> None:
    """Functions that only DuckDB has, which other engines lack."""
    of_duckdb = re.compile(r"\b(read_parquet|read_csv|epoch_ms|to_hours|hugeint|list_\w+|struct_pack|glob)\s*\(", re.I)
    folder = ROOT / "dbt_project"
    foreign = {
        str(path.relative_to(folder)): found
        for path in [*(folder / "models").rglob("*.sql"), *(folder / "tests").rglob("*.sql")]
        if (found := of_duckdb.findall(path.read_text()))
    }
    assert foreign == {}


def test_an_apostrophe_in_a_text_of_sql_is_left_to_the_engine() -> None:
    """Two quotes within a literal are one quote for DuckDB, and none for Spark: `quoted` writes what each takes."""
    folder = ROOT / "dbt_project"
    found = [
        f"{path.relative_to(folder)}: {line.strip()}"
        for path in sorted(folder.rglob("*.sql"))
        if "target" not in path.parts
        for line in path.read_text().splitlines()
        if re.search(r"\w''[\w )]", line)
    ]
    assert not found


def test_no_tracked_file_records_a_download_address_or_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    registries = "|".join(["py" + "pi", "npm" + "js", "hosted" + "python", "deb" + "ian"])
    forbidden = re.compile(rf"://[a-z.-]*({registries})[a-z.-]*\.|(?<![\w.])/(root|work|farm)/")
    found = []
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in {".png", ".jpg", ".parquet"} or not path.is_file():
            continue
        found += [f"{name}: {match.group()}" for match in [forbidden.search(path.read_text(errors="ignore"))] if match]
    assert found == []


def test_importing_ingestion_stays_cheap() -> None:
    """boto3 and the tools above are imported when they are needed, and not before."""
    program = "import sys, ingestion.archive; print(sorted({'boto3', 'pandas', 'dagster'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_dispatched_macro_is_written_for_every_engine() -> None:
    """dbt looks for it when it reads the project: one that an engine lacks ends every command there."""
    texts = [path.read_text() for path in (ROOT / "dbt_project" / "macros").rglob("*.sql")]
    dispatched = {name for text in texts for name in re.findall(r"adapter\.dispatch\('(\w+)', 'taker'\)", text)}
    written = {name for text in texts for name in re.findall(r"macro (\w+__\w+)\(", text)}
    lacking = {
        f"{engine}__{name}"
        for name in dispatched
        for engine in ("duckdb", "spark")
        if not {f"{engine}__{name}", f"default__{name}"} & written
    }
    assert dispatched
    assert lacking == set()
