"""Make the secrets that compose.yaml reads, each in a file, where there are none yet: `python deploy/make_secrets.py`.

Belongs here: random passwords and the files that hold them. Does not: secrets of a provider, which replace these files.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"


def make(folder: Path = FOLDER) -> bool:
    """Write the files of each server of which none is there; False where that is none. Others stay as they are."""
    # Only its owner enters it; the files themselves are read by the containers' user, whose number is another.
    folder.mkdir(mode=0o700, exist_ok=True)
    missing = [files for files in _made() if not any((folder / name).exists() for name in files)]
    for files in missing:
        for name, value in files.items():
            (folder / name).write_text(value)
            (folder / name).chmod(0o644)
    return bool(missing)


def _made() -> list[dict[str, str]]:
    """The files of each server, with passwords of its own."""
    password, key, secret = secrets.token_urlsafe(24), secrets.token_hex(10), secrets.token_urlsafe(30)
    credentials = [{"accessKey": key, "secretKey": secret}]
    identity = {"name": "taker", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    of_queue = secrets.token_urlsafe(24)
    return [
        {
            "POSTGRES_PASSWORD": password,
            "DAGSTER_POSTGRES_URL": f"postgresql://taker:{password}@postgres:5432/dagster",
            "TAKER_PUBLISH_POSTGRES_URL": f"postgresql://taker:{password}@postgres:5432/marts",
        },
        {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "s3.json": json.dumps({"identities": [identity]}),
        },
        {
            "CELERY_BROKER_URL": f"redis://:{of_queue}@redis:6379/0",
            # What waits in the queue outlives a restart.
            "redis.conf": f"requirepass {of_queue}\nappendonly yes\ndir /data\n",
        },
    ]


if __name__ == "__main__":
    print(f"secrets made in {FOLDER}" if make() else f"the secrets in {FOLDER} are kept", file=sys.stderr)
