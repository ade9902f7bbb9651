"""What documents promise and a machine can check: links, settings, packages, length."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from ingestion.raw.receipts import DefectKind, Status
from orchestration.config.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Pages that exist only in the site: see tools/docs_site.py.
OF_THE_SITE = {"dbt/index.html", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
SETTINGS = {f"{PREFIX}{name}".upper() for name in Settings.model_fields if not name.startswith("aws_")}


def anchors(document: Path) -> set[str]:
    """The ids that headings get, on the host of the repository as in the site."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in link or (document == ROOT / "docs" / "index.md" and path in OF_THE_SITE):
            continue
        target = (document.parent / path) if path else document
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_page_of_defects_names_every_kind_and_verdict_of_the_code() -> None:
    text = (ROOT / "docs" / "defects.md").read_text()
    named = set(re.findall(r"`([a-z_]+)`", text))
    models = yaml.safe_load((ROOT / "dbt_project/models/marts/taker_flow/_taker_flow.yml").read_text())["models"]
    rules = [test["rules"]["arguments"] for model in models for test in model["data_tests"]]
    accepted = [rule.get("accepted_values", {}) for rule in rules]
    columns = ("verdict", "interval_verdict", "rest_verdict", "flow_quality")
    values = {value for each in accepted for column in columns for value in each.get(column, ())}
    assert len(values) > 10
    assert values | {*get_args(DefectKind), *get_args(Status)} - {"stored"} <= named


def test_the_readme_has_at_most_900_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900


@pytest.mark.parametrize("document", ["docs/settings.md", ".env.example"])
def test_every_setting_is_documented_and_no_other(document: str) -> None:
    assert set(re.findall(r"\bTAKER_[A-Z_]+\b", (ROOT / document).read_text())) == SETTINGS


def test_the_example_of_an_environment_file_sets_nothing() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_architecture_names_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = [
        folder.name
        for package in ("ingestion", "orchestration")
        for folder in (ROOT / package).iterdir()
        if (folder / "__init__.py").is_file()
    ]
    assert [name for name in packages if f"`{name}/`" not in text] == []


def test_every_mart_has_a_page() -> None:
    marts = [path.stem for path in (ROOT / "dbt_project" / "models" / "marts").rglob("*.sql")]
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "metrics").glob("*.md"))
    assert [mart for mart in marts if f"`{mart}`" not in pages] == []


def test_hooks_before_a_commit_are_local_commands_of_the_environment() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in configuration["repos"]} == {"local"}
    hooks = [hook for repository in configuration["repos"] for hook in repository["hooks"]]
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in hooks)
