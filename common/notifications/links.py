"""Pages that help whoever reads a notice: in CircleCI, and in the AWS console."""

from __future__ import annotations

from urllib.parse import quote

from common.settings import Run


def workflow_page(run: Run) -> str:
    """CircleCI's page of the workflow that the run belongs to, where its approval is clicked; empty outside CircleCI."""
    return f"https://app.circleci.com/pipelines/workflows/{run.pipeline}" if run.pipeline else ""


def object_page(region: str, bucket: str, key: str) -> str:
    """The console's page of an object in S3, from which it is opened by whoever may read it."""
    return f"{_console(region)}/s3/object/{quote(bucket)}?region={region}&prefix={quote(key)}"


def endpoint_page(region: str, name: str) -> str:
    """The console's page of an endpoint."""
    return f"{_console(region)}/sagemaker/home?region={region}#/endpoints/{quote(name)}"


def _console(region: str) -> str:
    return f"https://{region}.console.aws.amazon.com"
