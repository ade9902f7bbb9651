"""Fixtures every test may use, and the rules by which tests get their markers.

Belongs here: what must be started and stopped, and what `make test-fast` leaves out. Does not: what is asserted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ingestion.raw.s3 import S3Options
from orchestration.state.garbage import look_seldom
from tests.support.archives import ArchiveFolder, ArchiveServer
from tests.support.postgres import PostgresServer, running_postgres, server_programs
from tests.support.s3 import running_seaweedfs

look_seldom()
# A machine that is busy is no failure of what is tested.
settings.register_profile("taker", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("taker")

TESTS = Path(__file__).resolve().parent
REAL_DATA = TESTS.parents[1] / "shared"

# A marker by what a test uses: a fixture, the xdist group of those that share a server, or the folder it lies in.
BY_FIXTURE = {"seaweedfs": "s3", "browser": "browser", "finished_demo": "slow", "real_data": "slow", "manifest": "slow"}
BY_GROUP = {"s3": "s3", "postgres": "postgres", "demo": "slow", "spark": "spark"}
BY_FOLDER = {"dbt": "slow", "end_to_end": "slow", "golden": "slow", "spark": "spark", "torture": "torture"}
# Modules outside of these folders that simulate archives, run jobs, start processes, draw or validate much.
SLOW_MODULES = re.compile(
    r".*/(audit/.*|state/.*|test_(hostile_network|kills|idempotence|bombs|bad_bytes|contract_values|full_disk|soundness)\.py|"
    r"test_(simulated|grown_months|run|docs|revisions|definitions|collect|collector|report|report_asset|recent_assets|"
    r"publish_parquet|index_writers|notes|queue|sealing|collectors|today|instance|audit_of_packages|hostile_input|unreadable_publication)\.py)"
)

# The xdist groups that take longest, longest first: begun before the others, none keeps one worker when all else ended.
LONGEST = (
    *("demo", "empty", "real_market", "s3", "test_run", "week", "answers", "live", "test_planted_secrets"),
    *("contradicted_flow", "published_faults", "test_provisional", "test_liquidations"),
)


def _marker_of(module: Path) -> str | None:
    """The marker that every test of this module gets by where it lies."""
    by_folder = BY_FOLDER.get(module.relative_to(TESTS).parts[0])
    return by_folder or ("slow" if SLOW_MODULES.fullmatch(module.as_posix()) else None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by those rules, before `-m` selects, and bring them into the order in which workers take them."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        groups = [str(mark.args[0] if mark.args else mark.kwargs["name"]) for mark in item.iter_markers("xdist_group")]
        found = {BY_FIXTURE.get(name) for name in fixtures} | {BY_GROUP.get(name) for name in groups}
        found.add(_marker_of(item.path))
        for marker in sorted(filter(None, found)):
            item.add_marker(marker)
        if _marker_of(item.path) and not groups:
            # What such a module makes once would be made once by each worker that runs a test of it.
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if item.path.relative_to(TESTS).parts[0] in BY_FOLDER:
            # Their lines run in other processes, and what runs in this one would cost half as much again.
            item.add_marker("no_cover")
    items.sort(key=_place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    with _unmeasured(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    with _unmeasured(item):
        return (yield)


@contextmanager
def _unmeasured(item: pytest.Item) -> Iterator[None]:
    """No tracing of what is made for a test marked `no_cover`, whole runs among it: pytest-cov's own is of its call."""
    plugin = item.config.pluginmanager.getplugin("_cov") if item.get_closest_marker("no_cover") else None
    controller = plugin and plugin.cov_controller
    if not controller:
        yield
        return
    controller.pause()
    try:
        yield
    finally:
        controller.resume()


def _place(item: pytest.Item) -> int:
    """When its group begins: the longest, then other groups, then the tests that any worker may run."""
    mark = item.get_closest_marker("xdist_group")
    group = str(mark.args[0]) if mark else None
    return LONGEST.index(group) if group in LONGEST else len(LONGEST) + (group is None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """tests/torture takes hours: it is collected only where it, or a module of it, is named.

    A module whose every test `-m "not …"` leaves out is not imported for it: that is a third of `make test-fast`.
    """
    unselected = re.findall(r"\bnot (\w+)", config.option.markexpr) if " or " not in config.option.markexpr else ()
    if (
        collection_path.is_file()
        and collection_path.is_relative_to(TESTS)
        and _marker_of(collection_path) in unselected
    ):
        return True
    torture = TESTS / "torture"
    named = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return True if collection_path == torture and not any(path.is_relative_to(torture) for path in named) else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="store anew what tests compare with: tests/golden, docs/questions.md, notebooks",
    )


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees only the settings it makes: nothing of the person's shell."""
    for name in list(os.environ):
        if name.startswith(("TAKER_", "AWS_", "DAGSTER_HOME")):
            monkeypatch.delenv(name)


@pytest.fixture
def archive_folder(tmp_path: Path) -> ArchiveFolder:
    return ArchiveFolder(tmp_path / "archive")


@pytest.fixture
def archive_server(archive_folder: ArchiveFolder) -> Iterator[ArchiveServer]:
    with ArchiveServer(archive_folder).running() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Options]:
    """A real S3 server on free loopback ports, with one pair of keys that it insists on."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as options:
        yield options


@pytest.fixture(scope="session")
def bucket(seaweedfs: S3Options) -> str:
    """One bucket for the session: each bucket costs the server volumes of its own."""
    import boto3

    boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint_url,
        region_name=seaweedfs.region,
        aws_access_key_id=seaweedfs.access_key_id,
        aws_secret_access_key=seaweedfs.secret_access_key,
    ).create_bucket(Bucket="taker-tests")
    return "taker-tests"


@pytest.fixture
def s3_url(bucket: str) -> str:
    """A place in the bucket that is the test's own."""
    return f"s3://{bucket}/{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the module's own."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here (initdb is neither on the PATH nor in /usr/lib/postgresql)")
    with running_postgres(programs) as started:
        yield started


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The recorded market data beside the project; a test that needs it skips where it is not."""
    folder = REAL_DATA / "data" / "real"
    if not folder.is_dir():
        pytest.skip("no recorded market data at ../shared/data/real beside the project")
    return folder


@pytest.fixture(scope="session")
def mirror(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recorded data as the venue's archive; a file URL."""
    tool = real_data.parents[1] / "tools" / "build_archive_mirror.py"
    if not tool.is_file():
        pytest.skip("no tools/build_archive_mirror.py beside the recorded data")
    folder = tmp_path_factory.mktemp("mirror")
    subprocess.run([sys.executable, str(tool), str(folder)], check=True, capture_output=True)
    return folder.as_uri()
