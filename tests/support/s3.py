"""SeaweedFS, a real S3 server, for as long as a test session needs one.

Belongs here: starting it on free loopback ports, waiting until it answers, ending it; the public bucket.
Does not: assertions.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import boto3
import urllib3
from botocore.exceptions import ClientError

from ingestion.raw.s3 import S3Options

ACCESS_KEY, SECRET_KEY = "taker-test", "taker-test-secret"
# Readable by anyone. Several tests write to it, each below a folder of its own.
PUBLIC_BUCKET = "public-archive"


def put_in_public(options: S3Options, root: Path, keys: Iterable[str]) -> str:
    """Upload these files of `root` to the public bucket, under their keys; its address, which needs no credentials."""
    client = boto3.client(
        "s3",
        endpoint_url=options.endpoint_url,
        region_name=options.region,
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key,
    )
    with contextlib.suppress(ClientError):  # another test has made it
        client.create_bucket(Bucket=PUBLIC_BUCKET)
    for key in keys:
        client.upload_file(str(root / key), PUBLIC_BUCKET, key)
    return f"{options.endpoint_url}/{PUBLIC_BUCKET}"


@contextlib.contextmanager
def running_seaweedfs(folder: Path) -> Iterator[S3Options]:
    """Yield how to reach the server; it and everything it started is gone afterwards."""
    config = folder / "s3.json"
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    # As Binance's own bucket: any client may list and read it.
    anyone = {"name": "anonymous", "actions": [f"{action}:{PUBLIC_BUCKET}" for action in ("Read", "List")]}
    config.write_text(json.dumps({"identities": [identity, anyone]}))
    master, volume, filer, s3 = _free_ports(4)
    data = folder / "data"
    data.mkdir()
    with (folder / "weed.log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("weed")),
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={data}",
                f"-master.port={master}",
                f"-master.port.grpc={_free_ports(1)[0]}",
                f"-volume.port={volume}",
                f"-volume.port.grpc={_free_ports(1)[0]}",
                # Seven for each bucket at its first object: with 20, the fourth bucket of a session took none.
                "-volume.max=200",
                "-master.volumeSizeLimitMB=64",
                "-filer",
                f"-filer.port={filer}",
                f"-filer.port.grpc={_free_ports(1)[0]}",
                "-s3",
                f"-s3.port={s3}",
                f"-s3.port.grpc={_free_ports(1)[0]}",
                f"-s3.config={config}",
                # Catalog servers that no test uses, on ports that are always the same.
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            _wait_until_it_answers(f"http://127.0.0.1:{s3}/", server, folder / "weed.log")
            yield S3Options(f"http://127.0.0.1:{s3}", "us-east-1", ACCESS_KEY, SECRET_KEY)
        finally:
            # A polite end takes it half a minute, and its data goes with the folder anyway.
            server.kill()
            server.wait()


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 60.0) -> None:
    http = urllib3.PoolManager(retries=False, timeout=2.0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            # Without keys it must refuse; before it is ready it answers with server errors or not at all.
            if http.request("GET", url).status < 500:
                return
        time.sleep(0.1)  # a server's readiness can only be polled
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, below the range SeaweedFS derives others from."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
