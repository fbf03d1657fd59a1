"""The chapter about four accounts: dev, registry, staging and production, and nothing but what CircleCI's contexts hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from rich.table import Table

from common.errors import ModelsError
from common.local.account import mapped_contexts
from common.local.accounts.layout import CircleCi, Organisation, Place, environments, four_accounts
from common.local.accounts.make import Administrator, make
from common.local.accounts.sessions import session
from common.local.demo.stage import CONTINUATION, Demo, switched, test_rows
from common.local.pipeline.project import origin
from common.local.pipeline.run import play

_MODEL = "abalone"
_BRANCH = "with-more-accounts"
_FOLDERS = 8


def tell_four_accounts(before: Demo) -> None:
    """Train in dev, register in the registry, try out in staging, serve in production; and what a branch cannot reach."""
    organisation = four_accounts(CircleCi(origin(before.repo)), (_MODEL,))
    keys = make(before.running.url, organisation)
    contexts = mapped_contexts(before.running.url, organisation)
    demo = replace(before, project=replace(before.project, contexts=contexts))
    dev, registry, _, production = organisation.places

    demo.tell("Accounts", "abalone moves to four: environments.json says which, and the YAML that staging comes first")
    demo.git("switch", "-q", "main")
    (demo.repo / "environments.json").write_text(json.dumps(environments(organisation, keys), indent=2) + "\n")
    path = demo.repo / CONTINUATION
    path.write_text(switched(path.read_text(), "staging", on=True))
    demo.git("add", "--all")
    demo.git("commit", "-qm", "Work in four accounts")
    demo.git("push", "-q", "origin", "main")

    demo.tell("Push", "a branch that changes abalone: it is trained in dev, and registered in the registry …")
    demo.branch(_BRANCH)
    demo.tune(_MODEL, "subsample", 0.6)
    demo.push(_BRANCH, "Show each tree fewer of the animals", approve=True)
    demo.tell("Click", "… and its approval job was clicked, in the registry's account")

    demo.tell(
        "Refused",
        "the branch asks for more: for production's role, and, as the role that it has, for production's bucket",
    )
    _show_refusal(demo, lambda: _session(demo, organisation, production, "deploy", _BRANCH))
    trainer = _session(demo, organisation, dev, f"train-{_MODEL}", _BRANCH)
    s3 = trainer.client("s3", endpoint_url=demo.running.url)
    _show_refusal(demo, lambda: s3.put_object(Bucket=production.bucket, Key=f"{_MODEL}/capture/mine", Body=b""))

    demo.tell(
        "Poisoned", "it exchanges the artifact after the click, which it can; then it is merged, and staging refuses it"
    )
    key, content = _artifact(organisation, demo)
    s3.put_object(Bucket=registry.bucket, Key=key, Body=content + b"poison")
    demo.merge(_BRANCH)
    _play_main(demo, fails=True)

    demo.tell(
        "Merge",
        "with the bucket's version of before the same package is deployed to staging, asked there, and then to production",
    )
    s3.put_object(Bucket=registry.bucket, Key=key, Body=content)
    _play_main(demo)
    _show(demo, organisation)

    demo.tell("Predict", "production answers, asked with the role of main's jobs")
    _predict(demo, organisation, production)


def _session(demo: Demo, organisation: Organisation, place: Place, role: str, branch: str) -> Any:
    """What a job of that branch gets for its identity; raises ClientError where it gets nothing."""
    return session(demo.running.url, place.role(role), organisation.circleci.repository, f"refs/heads/{branch}")


def _show_refusal(demo: Demo, ask: Callable[[], object]) -> None:
    """Print what AWS says to a request that it has to refuse."""
    try:
        ask()
    except ClientError as error:
        demo.console.print(f"  {error}", soft_wrap=True)
    else:
        raise ModelsError("AWS allowed what a branch may not do.")


def _artifact(organisation: Organisation, demo: Demo) -> tuple[str, bytes]:
    """Key and content of the newest package's artifact."""
    aws = Administrator(demo.running.url, organisation.registry.account)
    listed = aws.client("sagemaker").list_model_packages(ModelPackageGroupName=_MODEL)["ModelPackageSummaryList"]
    package = aws.client("sagemaker").describe_model_package(ModelPackageName=listed[0]["ModelPackageArn"])
    uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return key, aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


def _play_main(demo: Demo, *, fails: bool = False) -> None:
    """Play main's pipeline without the jobs that look at all models, of which three are not in these accounts."""
    skip = ("check", "audit", "in-step")
    result = play(demo.repo, demo.project, branch="main", approve=lambda _job: True, skip=skip, console=demo.console)
    if result.ok == fails:
        raise ModelsError(
            f"A job {'passed that had to fail' if fails else 'failed'}; its log is below {result.folder}."
        )


def _show(demo: Demo, organisation: Organisation) -> None:
    """Show which account holds what."""
    table = Table(
        "account", "training jobs", "packages", "endpoints", "folders of abalone", box=None, padding=(0, 3, 0, 2)
    )
    for place in organisation.places:
        aws = Administrator(demo.running.url, place.account)
        sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
        folders = s3.list_objects_v2(Bucket=place.bucket, Prefix=f"{_MODEL}/", Delimiter="/", MaxKeys=_FOLDERS)
        groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        packages = (
            sagemaker.list_model_packages(ModelPackageGroupName=_MODEL)["ModelPackageSummaryList"] if groups else []
        )
        table.add_row(
            f"{place.name} {place.account}",
            str(len(sagemaker.list_training_jobs()["TrainingJobSummaries"])),
            str(len(packages)),
            ", ".join(each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]) or "–",
            ", ".join(each["Prefix"].split("/")[1] for each in folders.get("CommonPrefixes", [])) or "–",
        )
    demo.console.print(table)


def _predict(demo: Demo, organisation: Organisation, production: Place) -> None:
    """Ask production's endpoint as a job of main would, for raw records that lie in the registry's bucket."""
    operate = _session(demo, organisation, production, "operate", "main").client("s3", endpoint_url=demo.running.url)
    rows = test_rows(operate, organisation.registry.bucket, _MODEL)
    keys = _session(demo, organisation, production, "deploy", "main").get_credentials()
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": demo.running.url,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MODELS_ENVIRONMENT": production.name,
        "PYTHONPATH": str(demo.repo),
    }
    sys.stdout.flush()
    command = [sys.executable, "-m", "common.cli", "invoke", _MODEL, json.dumps(rows)]
    subprocess.run(command, cwd=demo.repo, env=environment, check=True)
