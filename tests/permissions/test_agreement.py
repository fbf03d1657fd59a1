"""The local AWS's evaluator decides as iam-simulate does, on the applied policies and on requests that nobody has chosen."""

from collections.abc import Iterator, Mapping
from random import Random

from tests.permissions import iam_simulate, names, requests
from tests.permissions.applied import Applied
from tests.permissions.iam_simulate import Service
from tests.permissions.requests import Document, Request
from tests.permissions.table import Actor, Row

HOW_MANY = 400
ENVIRONMENTS = ("dev", "registry", "staging", "production")
MODELS = ("abalone", "churn", "prices", "abalone2")
# How rows write resources of the kinds that AWS's reference names.
NAMES: Mapping[str, tuple[str, ...]] = {
    "bucket": ("bucket@{environment}",),
    "object": tuple(
        f"s3@{{environment}}:{key}"
        for key in (
            "{model}/data/v1/train.csv",
            "{model}/packages/a-v1/model.tar.gz",
            "{model}/fleets/a-v1/models/7.tar.gz",
            "{model}/sources/a/code.tar.gz",
            "{model}/code/ab12.tar.gz",
            "{model}/capture/x.jsonl",
            "{model}/batch/work/1/x.csv",
            "{model}/training/job/output/model.tar.gz",
            "{model}/generations/7/manifest.json",
            "notifications/x",
        )
    ),
    "key": ("key@{environment}",),
    "topic": ("topic@{environment}",),
    "role": tuple(
        f"role@{{environment}}:{name}"
        for name in ("models-jobs-{model}", "models-endpoint-{model}", "models-deploy", "models-train-{model}", "other")
    ),
    "Secret": ("secret@{environment}:warehouse", "secret@{environment}:payroll"),
    "alarm": ("alarm@{environment}:{model}-errors", "alarm@{environment}:others"),
    "ScalableTarget": ("scalable-target@{environment}:1",),
    "log-stream": ("logs@{environment}:/aws/sagemaker/TrainingJobs:log-stream:{model}-a/algo-1",),
    "endpoint": ("endpoint@{environment}:{model}",),
    **{
        kind: (f"{kind}@{{environment}}:{{model}}-model-1", f"{kind}@{{environment}}:{{model}}-batch-1")
        for kind in ("model", "endpoint-config", "training-job", "processing-job", "transform-job")
    },
    "model-package": ("model-package@registry:{model}/1",),
    "model-package-group": ("model-package-group@registry:{model}",),
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "aws:SecureTransport": ("true", "false"),
    "aws:SourceAccount": ("account@dev", "account@production", "999999999999"),
    "aws:SourceArn": ("rule@production:models-training-failed", "rule@dev:models-training-failed"),
    "sagemaker:ModelApprovalStatus": ("PendingManualApproval", "Approved", "Rejected"),
    "s3:prefix": ("abalone/data/", "churn/", "abalone/packages/", "", "notifications/"),
    "s3:x-amz-server-side-encryption": ("aws:kms", "AES256"),
    "s3:x-amz-server-side-encryption-aws-kms-key-id": ("key@registry", "key@dev"),
    "s3:if-none-match": ("*",),
    "kms:ViaService": ("s3.eu-west-1.amazonaws.com", "sns.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com"),
    "kms:GrantIsForAWSResource": ("true", "false"),
    "iam:PassedToService": ("sagemaker.amazonaws.com", "lambda.amazonaws.com"),
    "application-autoscaling:service-namespace": ("sagemaker", "ecs"),
    "cloudwatch:namespace": ("Models/Monitoring", "aws/sagemaker/Endpoints", "Others"),
}
EVERYWHERE = ("aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn")


def drawn(applied: Applied, random: Random, known: Mapping[str, Service]) -> Iterator[Request]:
    """Requests of everybody for anything that a policy names, with or without what conditions look at."""
    actors = _actors(applied)
    anything = sorted({action for _, document in applied.documents() for action in _named(document)})
    while True:
        actor = random.choice(actors)
        request = applied.request(actor, Row(True, "sts:AssumeRole", "role@dev:other", ""))
        own = sorted({action for document in request.identity for action in _named(document)})
        row = _row(random, random.choice(own if own and random.random() < 0.6 else anything), known)
        if row and (row.on != "*" or "@" in actor.principal):
            request = applied.request(actor, row)
            if not (request.action == "sts:AssumeRole" and request.attached is None):  # a role that is not there
                yield request


def _named(document: Document) -> set[str]:
    """The actions that a document names, but what no principal of IAM asks for."""
    return {action for action in names.actions(document) if "*" not in action} - {"sts:AssumeRoleWithWebIdentity"}


def _row(random: Random, action: str, known: Mapping[str, Service]) -> Row | None:
    """The action on something that it can be about; None where it is about nothing that rows can write."""
    service, _, name = action.partition(":")
    reference = known[service].actions[name]
    kinds = [kind for kind in sorted(reference["resources"]) if kind in NAMES]
    if reference["resources"] and not kinds:
        return None
    on = random.choice(NAMES[random.choice(kinds)]) if kinds else "*"
    on = on.format(environment=random.choice(ENVIRONMENTS), model=random.choice(MODELS))
    possible = (*EVERYWHERE, *(key for key in VALUES if key in reference["keys"]))
    return Row(True, action, on, "", {key: random.choice(VALUES[key]) for key in possible if random.random() < 0.5})


def _actors(applied: Applied) -> list[Actor]:
    accounts = {environment.account: name for name, environment in applied.environments.items()}
    roles = [f"role@{accounts[arn.split(':')[4]]}:{arn.rpartition('/')[2]}" for arn in sorted(applied.roles)]
    administrators = [f"role@{name}:administrator" for name in (*sorted(applied.environments), "999999999999")]
    services = ["sagemaker.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com", "lambda.amazonaws.com"]
    return [
        *(Actor(role, role) for role in roles),
        *(Actor(role, role, administrator=True) for role in administrators),
        *(Actor(service, service) for service in services),
    ]


def test_they_agree_on_any_request(applied: Applied) -> None:
    iam_simulate.require()
    known, _ = iam_simulate.known(names.services(document for _, document in applied.documents()))
    source = drawn(applied, Random(20261122), known)  # noqa: S311 - it draws requests, no secrets
    asked = [next(source) for _ in range(HOW_MANY)]
    ours, theirs = [requests.decide(request) for request in asked], iam_simulate.decide(asked)
    assert [request for request, one, other in zip(asked, ours, theirs, strict=True) if one is not other] == []
    assert HOW_MANY / 20 < sum(ours) < HOW_MANY * 19 / 20  # or it would prove little
