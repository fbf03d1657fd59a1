"""The server as a whole: what every request meets before, and after, its operation."""

import json
import urllib.request

from accounts import Account


def test_health_names_the_clock(aws_url: str) -> None:
    with urllib.request.urlopen(f"{aws_url}/_local/health") as answer:  # noqa: S310
        assert json.load(answer) == {"status": "ok", "url": aws_url, "time_scale": 0.01}


def test_s3_objects_round_trip(aws: Account) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=aws.bucket, Key="a/b", Body=b"x" * 100_000)
    assert s3.head_object(Bucket=aws.bucket, Key="a/b")["ContentLength"] == 100_000
    assert s3.get_object(Bucket=aws.bucket, Key="a/b")["Body"].read() == b"x" * 100_000
