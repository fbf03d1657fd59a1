"""Whoever reads what the steps leave – logs, objects, packages, reports, state – learns no secret of those who ran them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import Clone

PASSWORD = "hunter2-of-the-warehouse"
CREDENTIAL_STORES = ("iam.pickle", "sts.pickle")
"""Of the local AWS itself, which gave the keys out."""


def token() -> str:
    """A web identity as CircleCI's."""
    claims = {"sub": "org/o/project/p/user/u/vcs-origin/github.com/acme/models/vcs-ref/refs/heads/main", "aud": "o"}
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2lnbmF0dXJlLW1hcms"])


def told(aws: Account, root: Path, build: Path) -> Iterator[tuple[str, bytes]]:
    """(where, what) of everything that is left."""
    s3, sagemaker, logs = aws.client("s3"), aws.client("sagemaker"), aws.client("logs")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=aws.bucket):
        for entry in page["Contents"]:
            answer = s3.get_object(Bucket=aws.bucket, Key=entry["Key"])
            yield f"object {entry['Key']}", answer["Body"].read() + json.dumps(answer["Metadata"]).encode()
    for package in sagemaker.list_model_packages(ModelPackageGroupName="abalone")["ModelPackageSummaryList"]:
        described = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
        yield "package", json.dumps(described, default=str).encode()
    for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]:
        described = sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
        yield "training job", json.dumps(described, default=str).encode()
    for group in logs.describe_log_groups()["logGroups"]:
        for stream in logs.describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]:
            events = logs.get_log_events(logGroupName=group["logGroupName"], logStreamName=stream["logStreamName"])
            yield f"log {group['logGroupName']}", json.dumps(events["events"]).encode()
    for folder in (root, build):
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in CREDENTIAL_STORES:
                yield f"file {path.relative_to(folder)}", path.read_bytes()


@pytest.mark.long
def test_nothing_that_the_steps_leave_holds_a_secret(aws: Account, aws_root: Path, tmp_path: Path) -> None:
    clone = Clone.create(tmp_path)
    identity = token()
    secrets = {
        "password": PASSWORD,
        "secret key": aws.credentials["aws_secret_access_key"],
        "session token": aws.credentials["aws_session_token"],
        "web identity": identity.rpartition(".")[2],
    }
    ci = {"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN": identity, "CIRCLE_OIDC_TOKEN_V2": identity}
    said = []
    for source in (
        f"postgresql://ada:{PASSWORD}@127.0.0.1:1/rings",
        f"https://ada:{PASSWORD}@127.0.0.1:1/rings.csv?X-Amz-Signature={PASSWORD}",
        f"ftp://ada:{PASSWORD}@127.0.0.1/rings.csv",
    ):
        done = clone.run(aws, "-m", "abalone_model.gather_data", ABALONE_SOURCE=source, **ci)
        assert done.returncode == 1
        said.append(done.stdout + done.stderr)
    done = clone.run(aws, "-m", "abalone_model.gather_data", **ci)
    assert done.returncode == 0, done.stderr
    clone.release(aws, **ci)
    for command in ("status", "history abalone", "show abalone --version 1", "cost", "events", "logs abalone --minutes 60",
                    "deploy abalone --plan", "invoke abalone {}", "due", "dashboard", "smoke abalone"):  # fmt: skip
        done = clone.models(
            aws, *command.split(), ABALONE_SOURCE=f"postgresql://ada:{PASSWORD}@127.0.0.1:1/rings", **ci
        )
        assert "Traceback" not in done.stderr, command
        said.append(done.stdout + done.stderr)
    left = dict(enumerate(told(aws, aws_root, clone.path / "build")))
    kinds = {where.split()[0] for where, _ in left.values()}
    assert kinds == {"object", "package", "training", "log", "file"}
    for name, secret in secrets.items():
        assert not [output for output in said if secret in output], name
        assert not [where for where, content in left.values() if secret.encode() in content], name


@pytest.mark.long
def test_a_secret_that_was_left_would_be_found(aws: Account, aws_root: Path, tmp_path: Path) -> None:
    aws.client("s3").put_object(Bucket=aws.bucket, Key="notes", Body=b"", Metadata={"note": PASSWORD})
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="abalone")
    (tmp_path / "report.html").write_text(PASSWORD)
    found = [where for where, content in told(aws, aws_root, tmp_path) if PASSWORD.encode() in content]
    assert {"object notes", "file report.html"} <= set(found)
