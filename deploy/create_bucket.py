"""Make the bucket of TAKER_STORAGE_URL where it is missing, and exit.

Belongs here: what compose.yaml needs once of its own S3 server. Does not: buckets of a provider, which are its
operator's.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from orchestration.config.settings import load_settings


def main() -> str | None:
    """None when the bucket is there."""
    settings = load_settings()
    bucket = urlsplit(settings.storage_url).netloc
    client = boto3.client("s3", endpoint_url=settings.aws_endpoint_url)
    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            return f"{bucket}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
