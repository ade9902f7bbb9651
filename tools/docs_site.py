"""What mkdocs adds to the pages of docs/: the documents of the root, and dbt's page.

Belongs here: hooks that mkdocs.yml names. Does not: building dbt's page, which `make docs` does before.
"""

from __future__ import annotations

import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the root's documents, with their links made relative to docs/, and dbt's page as `dbt/index.html`."""
    for name in ROOT_PAGES:
        text = (ROOT / name).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    # `make docs-site` passes the path that `make docs` printed.
    page = Path(os.environ.get("DBT_PAGE", ""))
    if not page.is_file():
        raise PluginError("dbt's page is missing; run `make docs-site`, which builds it first")
    files.append(File.generated(config, "dbt/index.html", abs_src_path=str(page.absolute())))
    return files
