"""The local cluster: it listens to this machine alone, and nothing of it is left behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.spark import kill_workers
from tools.spark.cluster import Cluster, ClusterFailed, Process, down, running_cluster, up
from tools.spark.jars import JarMissing, class_path, relocated_class

pytestmark = pytest.mark.xdist_group("spark")


def test_it_listens_to_this_machine_alone(spark_cluster: Cluster) -> None:
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    pids = {str(process.pid) for process in spark_cluster.processes}
    ours = [line.split()[3] for line in listening if set(re.findall(r"pid=(\d+)", line)) & pids]
    assert len(ours) >= 3
    assert all(re.match(r"(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]):", address) for address in ours)


def test_its_secrets_are_readable_by_their_owner_alone(spark_cluster: Cluster) -> None:
    modes = {path.name: path.stat().st_mode & 0o077 for path in spark_cluster.conf.iterdir()}
    assert set(modes) >= {"spark-defaults.conf", "catalog_password", "cluster_secret"}
    assert not any(modes.values())


def test_a_cluster_that_runs_is_not_started_again(spark_cluster: Cluster) -> None:
    assert up(spark_cluster.folder).processes == spark_cluster.processes


def test_a_worker_that_ended_is_started_again_and_nothing_else_is(spark_cluster: Cluster) -> None:
    before = [*spark_cluster.processes]
    kill_workers(spark_cluster, before[1].name)
    spark_cluster.processes[:] = up(spark_cluster.folder, thrift=False).processes
    assert {one.name for one in spark_cluster.processes} == {one.name for one in before}
    assert [one for one in before if one not in spark_cluster.processes] == [before[1]]
    assert running_cluster(spark_cluster.folder) == spark_cluster


def test_its_parts_accept_no_program_without_its_secret(spark_cluster: Cluster) -> None:
    logs = [(spark_cluster.folder / "logs" / f"{one.name}.log").read_text() for one in spark_cluster.processes]
    # A worker states it again for each program that it computes for.
    assert all("authentication enabled" in log and "authentication disabled" not in log for log in logs)
    assert len(logs) == 3


class TestTheEnd:
    def test_ends_what_was_started_and_nothing_else(self, tmp_path: Path) -> None:
        ours, another = (_sleeper() for _ in range(2))
        number = _process(ours.pid)
        # The number of a process that has ended may be another's now: what began at another time is not ended.
        stranger = Process("stranger", another.pid, "1")
        _note(tmp_path, [number, stranger])
        try:
            assert down(tmp_path) == [f"Ended ours (process {ours.pid})."]
            # Requested to end, and killed where that takes longer than is waited for.
            assert ours.wait() in (-signal.SIGTERM, -signal.SIGKILL)
            assert another.poll() is None
            assert not (tmp_path / "cluster.json").exists()
        finally:
            another.kill()
            another.wait()

    def test_of_nothing_is_no_error(self, tmp_path: Path) -> None:
        assert down(tmp_path) == []

    def test_of_one_process_means_that_no_cluster_runs(self, tmp_path: Path) -> None:
        alive = [_sleeper() for _ in range(3)]
        try:
            _note(tmp_path, [_process(one.pid) for one in alive])
            assert running_cluster(tmp_path)
            alive[1].kill()
            alive[1].wait()
            assert running_cluster(tmp_path) is None
        finally:
            for one in alive:
                one.kill()
                one.wait()


def test_a_part_that_does_not_start_is_named_and_the_others_are_ended(
    spark_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spark_cluster.folder / "another"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("SPARK_MASTER_OPTS", "-XX:NoSuchOption")
    with pytest.raises(ClusterFailed, match=r"master ended:[\s\S]*NoSuchOption"):
        up(folder)
    assert not (folder / "catalog" / "data" / "postmaster.pid").exists()


def test_a_jar_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JarMissing, match=r"no jar .*iceberg\.jar"):
        class_path([tmp_path / "iceberg.jar"])


def test_named_jars_are_taken_in_place_of_the_installed_ones(tmp_path: Path) -> None:
    jars = [tmp_path / "iceberg-spark-runtime.jar", tmp_path / "postgresql-42.jar"]
    for jar in jars:
        jar.touch()
    assert class_path(jars) == jars


def test_a_class_is_renamed_in_its_constants_and_nowhere_else() -> None:
    text = b"com/fasterxml/jackson/core"
    constants = b"\x01" + len(text).to_bytes(2, "big") + text + b"\x05" + bytes(8) + b"\x07\x00\x01"
    head, rest = b"\xca\xfe\xba\xbe" + bytes(4), b"the code com/fasterxml/jackson stays"
    renamed = b"org/apache/iceberg/shaded/" + text
    assert relocated_class(head + b"\x00\x05" + constants + rest) == (
        head + b"\x00\x05\x01" + len(renamed).to_bytes(2, "big") + renamed + b"\x05" + bytes(8) + b"\x07\x00\x01" + rest
    )


def test_the_lock_of_spark_adds_to_the_lock_of_taker_and_changes_nothing_of_it() -> None:
    pins = [
        set(re.findall(r"^[a-z0-9._-]+==[^ ]+", (ROOT / name).read_text(), re.M))
        for name in ("requirements.lock", "requirements-spark.lock")
    ]
    added = {pin.split("==")[0] for pin in pins[1] - pins[0]}
    assert added == {"dbt-spark", "py4j", "pyspark", "snowpark-connect-deps-iceberg", "sqlparams"}


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)


def _process(pid: int) -> Process:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Process("ours", pid, fields[19])


def _note(folder: Path, processes: list[Process]) -> None:
    held = [{"name": one.name, "pid": one.pid, "started": one.started} for one in processes]
    (folder / "cluster.json").write_text(
        json.dumps({"folder": str(folder), "master": "", "catalog_port": 0, "thrift_port": 0, "processes": held})
    )
