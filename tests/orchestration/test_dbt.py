"""Starting dbt: arguments, profile, and when the manifest is too old."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import duckdb
import pytest
import yaml

from ingestion.domain.markets import SUMS_OF_VENUES
from orchestration.config.settings import Settings, load_settings
from orchestration.runs import dbt as commands
from orchestration.warehouse import dbt, opening, profile
from orchestration.warehouse.audit import rules
from orchestration.warehouse.dbt_output import killed_sentence, without_tracebacks


def test_one_build_without_unit_tests_and_with_the_settings_as_variables(tmp_path: Path) -> None:
    settings = load_settings(storage_url=str(tmp_path), kline_interval="4h,1d")
    args = dbt.build_args(profile.variables(settings.dbt))
    assert args[:3] == ["build", "--exclude-resource-type", "unit_test"]
    assert json.loads(args[args.index("--vars") + 1]) == {
        "raw_url": str(tmp_path / "raw"),
        "trades_dataset": "aggTrades",
        "kline_intervals": ["4h", "1d"],
        "simulated_venues": ["simulated", "simulated_b"],
        "own_claims": [],
        "logic_version": profile.logic_version(),
        "macros_version": profile.macros_version(),
    }
    assert "--no-write-json" in args
    assert "--full-refresh" in dbt.build_args({}, full_refresh=True)


@pytest.mark.parametrize(
    ("name", "is_another"),
    [
        ("models/a.sql", True),
        ("models/_contracts.yml", True),
        ("models/_unit_tests/a.yml", False),
        ("macros/b.sql", True),
        ("seeds/c.csv", False),
    ],
)
def test_another_model_contract_or_macro_is_another_version(tmp_path: Path, name: str, is_another: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("one")
    version = profile.logic_version(tmp_path)
    path.write_text("two")
    assert (profile.logic_version(tmp_path) != version) is is_another


def test_constraints_of_changed_rows_are_declared_as_ones_that_are_enforced(manifest: Path) -> None:
    """Of a materialization that it does not know, dbt warns that they are ignored."""
    models = [node for node in json.loads(manifest.read_text())["nodes"].values() if node["resource_type"] == "model"]
    ours = [node for node in models if node["config"]["materialized"] == "changed_rows"]
    warned_about = {
        f"{node['name']}.{column['name']}"
        for node in ours
        for column in node["columns"].values()
        if any(constraint["warn_unsupported"] for constraint in column["constraints"])
    }
    assert warned_about == set() != {node["name"] for node in ours}


def test_bars_and_metrics_depend_on_the_version_of_every_macro_that_they_call(manifest: Path) -> None:
    """Beside those that decide which days are built at all."""
    parsed = json.loads(manifest.read_text())
    texts = " ".join(
        (profile.PROJECT_DIR / "macros" / name).read_text() for name in ("build_window.sql", "metrics.sql")
    )
    lists = " ".join(re.findall(r"for name in \[(.*?)\]", texts, re.DOTALL))
    versioned = [f"model.taker.{name}" for name in re.findall(r"'(\w+)'", lists)]
    assert {"model.taker.stg_raw__klines", "model.taker.int_flow_bars", "model.taker.int_metrics_hours"} <= {*versioned}
    called: set[str] = set()
    found = [macro for name in versioned for macro in parsed["nodes"][name]["depends_on"]["macros"]]
    while found:
        macro = found.pop()
        if macro.startswith("macro.taker.") and macro not in called:
            called.add(macro)
            found += parsed["macros"][macro]["depends_on"]["macros"]
    files = {parsed["macros"][macro]["original_file_path"].removeprefix("macros/") for macro in called}
    assert files - {"build_window.sql", "former_build.sql"} <= {*profile.VALUING_MACROS}
    assert "trades.sql" in files
    assert all((profile.PROJECT_DIR / "macros" / name).is_file() for name in profile.VALUING_MACROS)


def test_the_local_profile_needs_no_extension_and_uses_utc(tmp_path: Path) -> None:
    settings = load_settings(storage_url=str(tmp_path))
    folder = profile.write_profile(settings.dbt)
    output = yaml.safe_load((folder / "profiles.yml").read_text())["taker"]["outputs"]["duckdb"]
    assert output["path"] == str(tmp_path / "warehouse.duckdb")
    stated = {name: value for name, value in output["settings"].items() if name.startswith("VARIABLE taker_")}
    assert stated == {
        "VARIABLE taker_raw_url": str(tmp_path / "raw"),
        "VARIABLE taker_trades_dataset": "aggTrades",
        "VARIABLE taker_kline_intervals": "1h",
        "VARIABLE taker_simulated_venues": "simulated,simulated_b",
        "VARIABLE taker_own_claims": "[]",
    }
    assert output["settings"] == {"TimeZone": "UTC", "memory_limit": settings.dbt.memory_limit, **stated}
    assert "extensions" not in output


def test_writing_the_same_profile_again_leaves_the_file_alone(tmp_path: Path) -> None:
    settings = load_settings(storage_url=str(tmp_path))
    path = profile.write_profile(settings.dbt) / "profiles.yml"
    before = path.stat().st_mtime_ns
    profile.write_profile(settings.dbt)
    assert path.stat().st_mtime_ns == before


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1")
    manifest = tmp_path / "target" / "manifest.json"
    manifest.write_text('{"nodes": {}}')
    later = max(path.stat().st_mtime for path in tmp_path.rglob("*")) + 10
    os.utime(manifest, (later, later))
    return tmp_path


def is_stale(project: Path) -> bool:
    return dbt.manifest_is_stale(project, project / "target" / "manifest.json")


def test_a_manifest_newer_than_the_project_is_good(project: Path) -> None:
    assert not is_stale(project)


@pytest.mark.parametrize("change", ["write", "add", "remove"])
def test_a_changed_added_or_removed_file_makes_it_stale(project: Path, change: str) -> None:
    model = project / "models" / "a.sql"
    later = (project / "target" / "manifest.json").stat().st_mtime + 10
    if change == "write":
        os.utime(model, (later, later))
    else:
        (project / "models" / "b.sql").write_text("select 2") if change == "add" else model.unlink()
        os.utime(project / "models", (later, later))
    assert is_stale(project)


def test_a_missing_manifest_is_stale_and_loading_it_names_the_command(project: Path) -> None:
    manifest = project / "target" / "manifest.json"
    manifest.unlink()
    assert is_stale(project)
    with pytest.raises(dbt.ManifestMissing, match="run `make manifest`"):
        dbt.load_manifest(manifest)


def test_only_manifest_docs_and_dbt_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["nonsense"]) == 2
    assert "usage" in capsys.readouterr().err


def test_dbt_by_hand_gets_the_profile_the_variables_and_the_target_folder_of_the_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def record(command: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", record)
    assert dbt.run_dbt(["build", "--select", "dim_markets"], settings.dbt) == 3
    assert dbt.run_dbt(["clean"], settings.dbt) == 3
    (command, environment), (clean, _) = calls
    own = len(dbt.DBT_COMMAND)
    assert command[own : own + 3] == ["build", "--select", "dim_markets"]
    assert json.loads(command[command.index("--vars") + 1]) == profile.variables(settings.dbt)
    assert (Path(command[command.index("--profiles-dir") + 1]) / "profiles.yml").is_file()
    assert environment["DBT_TARGET_PATH"] == str(profile.target_dir(settings.dbt))
    assert "--vars" not in clean


@pytest.mark.parametrize(
    ("args", "has_variables"),
    [
        (["--no-use-colors", "build"], True),
        (["--log-format", "json", "build", "--select", "docs"], True),
        (["--debug", "run-operation", "some_macro"], True),
        (["--debug", "clean"], False),
        (["--no-use-colors", "docs", "--quiet", "serve"], False),
        (["--version"], False),
    ],
)
def test_the_command_counts_wherever_its_options_stand(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, args: list[str], has_variables: bool
) -> None:
    started: list[list[str]] = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", record)
    dbt.run_dbt(args, settings.dbt)
    assert ("--vars" in started[0]) is has_variables


def test_a_command_that_opens_no_warehouse_waits_for_none(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the warehouse was waited for")

    monkeypatch.setattr(dbt, "await_writable", fail)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0))
    assert dbt.run_dbt(["--quiet", "ls"], settings.dbt) == 0


def test_variables_by_hand_are_refused_since_the_settings_make_them(settings: Settings) -> None:
    with pytest.raises(dbt.DbtFailed, match="change these instead"):
        dbt.run_dbt(["build", "--vars", "{}"], settings.dbt)


@pytest.mark.parametrize(
    ("price", "note", "is_outdated"),
    [
        (opening.BAR_PRICE_TYPE, "build_state varchar, build_id varchar", False),
        ("decimal(18,8)", "build_state varchar, build_id varchar", True),
        (opening.BAR_PRICE_TYPE, "build_state varchar", True),
    ],
)
def test_bars_or_a_note_of_another_shape_are_built_anew(
    settings: Settings, price: str, note: str, is_outdated: bool
) -> None:
    assert not opening.bars_are_outdated(opening.WarehouseFile(settings.paths.warehouse))
    settings.warehouse_path.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(f"create table int_flow_bars (bar_at timestamp, open_price {price})")
        connection.execute(f"create table int_built_receipts ({note})")
    assert opening.bars_are_outdated(opening.WarehouseFile(settings.paths.warehouse)) is is_outdated


def test_the_traceback_of_a_failed_command_is_left_out() -> None:
    text = (
        "Encountered an error:\n"
        "\x1b[31mIO Error: no\x1b[0m\n\n"
        "Traceback (most recent call last):\n"
        '  File "a.py", line 1, in f\n'
        "    x\n"
        "    ^\n"
        "IOException: IO Error: no\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n"
        '  File "b.py", line 2, in g\n'
        "IOException: IO Error: no\n"
        "Done. ERROR=1\n"
    )
    assert without_tracebacks(text) == "IO Error: no\nDone. ERROR=1"
    of_java = (
        "An error occurred while calling o9.sql.\n: java.lang.IllegalStateException: stopped\n"
        "\tat org.apache.spark.SparkContext.$anonfun$new$1(SparkContext.scala:9)\n\t... 12 more\nJVM stacktrace:\n"
    )
    assert without_tracebacks(of_java) == (
        "An error occurred while calling o9.sql.\n: java.lang.IllegalStateException: stopped"
    )
    assert without_tracebacks("\n".join(map(str, range(9))), 3).splitlines()[-1].startswith("… and 6 more lines")


def test_a_dbt_that_was_killed_is_a_sentence_and_not_its_command_line() -> None:
    text = (
        "The dbt CLI process with command\n\n`python -m dbt build`\n\n"
        "failed with exit code `{}`. Check the stdout in the Dagster compute logs for the full information"
    )
    assert killed_sentence(text.format(1)) is None
    assert "dbt was ended by SIGKILL; a machine that runs out of memory does that" in str(
        killed_sentence(text.format(-9))
    )
    assert "dbt was ended by SIGTERM; nothing of this build is published" in str(killed_sentence(text.format(-15)))


def test_no_two_marts_are_described_by_the_same_first_sentence(manifest: Path) -> None:
    """`taker tables` shows that sentence."""
    parsed = json.loads(manifest.read_text())
    first = {
        mart: next(node for node in parsed["nodes"].values() if node["name"] == mart)["description"].partition(". ")[0]
        for mart in dbt.marts_in(parsed)
    }
    assert all(first.values())
    same = [mart for mart, sentence in first.items() if list(first.values()).count(sentence) > 1]
    assert same == []


def test_the_sums_over_venues_have_the_same_names_in_models_audit_and_code() -> None:
    macros = (profile.PROJECT_DIR / "macros" / "venues.sql").read_text()
    names = [name for line in macros.splitlines() if "return('" in line for name in line.split("'")[1:2]]
    assert tuple(names) == SUMS_OF_VENUES
    audit = Path(rules.__file__).with_name("sql") / "macros.sql"
    assert ", ".join(f"'{name}'" for name in SUMS_OF_VENUES) in audit.read_text()
