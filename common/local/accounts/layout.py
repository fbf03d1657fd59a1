"""What an organisation has in each of its accounts: roles with their policies, by the documents of `infra/policies`. Pure.

infra/policies/README.md says which role gets which document, and what the variables mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Literal

from common.local.pipeline.project import ORGANISATION, PROJECT, USER

FOLDER = Path(__file__).parents[3] / "infra"
REGION = "eu-west-1"
SESSION_SECONDS = 4 * 3600
"""How long CircleCI's roles let their sessions be."""
_TUNING_CHARACTERS = 16
"""Of a model's name, with which the names of its tuning jobs begin."""

Deed = Literal["train", "register", "deploy"]
Values = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class CircleCi:
    """The project whose jobs may take on roles; by default the one that the player plays.

    Attributes:
        approvers: ids of the users who may approve.
    """

    repository: str
    organisation: str = ORGANISATION
    project: str = PROJECT
    approvers: tuple[str, ...] = (USER,)


@dataclass(frozen=True)
class Place:
    """An environment: its account, and what is done there.

    Attributes:
        after: the environment that has to have verified a package before it is deployed here; empty where none has.
    """

    name: str
    account: str
    bucket: str
    does: frozenset[Deed]
    after: str = ""
    region: str = REGION

    @property
    def topic(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:models-notifications"

    def role(self, name: str) -> str:
        return f"arn:aws:iam::{self.account}:role/models-{name}"

    @property
    def root(self) -> str:
        return f"arn:aws:iam::{self.account}:root"


@dataclass(frozen=True)
class Organisation:
    """All environments, and whom they are for; the one that serves is the last that deploys."""

    places: tuple[Place, ...]
    circleci: CircleCi
    models: tuple[str, ...]
    shared_endpoints: tuple[str, ...] = ()

    @property
    def registry(self) -> Place:
        return next(place for place in self.places if "register" in place.does)

    @property
    def serving(self) -> Place:
        return self.doing("deploy")[-1]

    def doing(self, deed: Deed) -> list[Place]:
        return [place for place in self.places if deed in place.does]

    def outside(self, deed: Deed) -> list[Place]:
        """The places that do it and are not the registry's account."""
        return [place for place in self.doing(deed) if place.account != self.registry.account]


@dataclass(frozen=True)
class Role:
    """A role of IAM: by which document it is trusted, and what it may do."""

    name: str
    trust: str
    policies: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    session_seconds: int = 3600


def one_account(
    account: str, bucket: str, circleci: CircleCi, models: Iterable[str], shared_endpoints: Iterable[str] = ()
) -> Organisation:
    """Everything in one account, as one environment, `production`."""
    place = Place("production", account, bucket, frozenset(("train", "register", "deploy")))
    return Organisation((place,), circleci, tuple(models), tuple(shared_endpoints))


def four_accounts(
    circleci: CircleCi,
    models: Iterable[str],
    shared_endpoints: Iterable[str] = (),
    *,
    accounts: tuple[str, str, str, str] = ("111111111111", "222222222222", "333333333333", "444444444444"),
    name: str = "models",
) -> Organisation:
    """An account each to train in, to register in, to try out in and to serve from. `name` begins their buckets' names."""
    dev, registry, staging, production = accounts
    places = (
        Place("dev", dev, f"{name}-dev", frozenset(("train",))),
        Place("registry", registry, f"{name}-registry", frozenset(("register",))),
        Place("staging", staging, f"{name}-staging", frozenset(("deploy",))),
        Place("production", production, f"{name}-production", frozenset(("deploy",)), after="staging"),
    )
    return Organisation(places, circleci, tuple(models), tuple(shared_endpoints))


def document(name: str, values: Values) -> str:
    """A document of `infra/policies`, filled in; values that its text does not name are passed over.

    Raises:
        KeyError: a value is missing.
    """
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return _template(name).substitute(texts)


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / "policies" / f"{name}.json.tftpl").read_text())


def roles(organisation: Organisation, place: Place, keys: Mapping[str, str]) -> list[Role]:
    """The roles of an environment; none where there are no models, since IAM takes no empty list of resources.

    Args:
        keys: ARN of the key of each environment, by its name.
    """
    if not organisation.models:
        return []
    values = _values(organisation, place, keys)
    found: list[Role] = []
    if "train" in place.does:
        found += [_train(model, values) for model in organisation.models]
    if "register" in place.does:
        found.append(_of_circleci("models-approve", "approve", values))
    if "deploy" in place.does:
        found += [_of_circleci(f"models-{name}", name, values) for name in ("deploy", "operate")]
        names = (*organisation.models, *organisation.shared_endpoints)
        found += [_of_sagemaker("endpoint", name, ["endpoint"], {**values, "endpoint": name}) for name in names]
    parts = [part for part, deed in (("jobs-training", "train"), ("jobs-operations", "deploy")) if deed in place.does]
    if parts:
        found += [_of_sagemaker("jobs", name, parts, {**values, "model": name}) for name in organisation.models]
    return found


def _train(model: str, values: Values) -> Role:
    own = {**values, "model": model, "tuning": model[:_TUNING_CHARACTERS]}
    return _of_circleci(f"models-train-{model}", "train", own, {"model": model})


def _of_circleci(name: str, policy: str, values: Values, tags: Mapping[str, str] | None = None) -> Role:
    trust = document(f"trust-{policy}" if policy in ("train", "approve") else "trust-main", values)
    policies = {part: document(part, values) for part in (policy, "never")}
    return Role(name, trust, policies, tags or {}, SESSION_SECONDS)


def _of_sagemaker(kind: str, name: str, policies: Iterable[str], values: Values) -> Role:
    documents = {policy: document(policy, values) for policy in policies}
    return Role(f"models-{kind}-{name}", document("trust-sagemaker", values), documents, {"model": name})


def _values(organisation: Organisation, place: Place, keys: Mapping[str, str]) -> dict[str, str | list[str]]:
    """What the policies of all roles of an environment have in common."""
    central, circleci = organisation.registry, organisation.circleci
    sagemaker = f"arn:aws:sagemaker:*:{place.account}"
    served = (*organisation.models, *organisation.shared_endpoints)
    return {
        "account": place.account,
        "region": place.region,
        "bucket": place.bucket,
        "key": keys[place.name],
        "topic": place.topic,
        "packages_account": central.account,
        "packages_region": central.region,
        "packages_bucket": central.bucket,
        "packages_key": keys[central.name],
        "serving": [
            f"{sagemaker}:{kind}"
            for name in served
            for kind in (f"endpoint/{name}", f"endpoint-config/{name}-*", f"model/{name}-*")
        ],
        "alarms": [f"arn:aws:cloudwatch:*:{place.account}:alarm:{name}-*" for name in served],
        "jobs": [
            f"{sagemaker}:{kind}"
            for name in organisation.models
            for kind in (f"processing-job/{name}-*", f"transform-job/{name}-*", f"model/{name}-batch-*")
        ],
        "organisation": circleci.organisation,
        "project": circleci.project,
        "repository": circleci.repository,
        "approvers": [_approver(circleci, user) for user in circleci.approvers],
    }


def _approver(circleci: CircleCi, user: str) -> str:
    return (
        f"org/{circleci.organisation}/project/{circleci.project}/user/{user}"
        f"/vcs-origin/{circleci.repository}/vcs-ref/refs/heads/*"
    )


def key_policy(organisation: Organisation, place: Place) -> str:
    """Of the key of an environment; the registry's is used by the roles of all accounts."""
    users = [place.root]
    if place == organisation.registry:
        users = [arn for other in organisation.places for arn in _readers(organisation, other)] or users
    return document("key", {"account": place.account, "region": place.region, "users": users})


def _readers(organisation: Organisation, place: Place) -> list[str]:
    """ARNs of the roles of another account that use the registry's bucket."""
    if place.account == organisation.registry.account:
        return []
    models, served = organisation.models, (*organisation.models, *organisation.shared_endpoints)
    found = [f"jobs-{model}" for model in models]
    if "train" in place.does:
        found += [f"train-{model}" for model in models]
    if "deploy" in place.does:
        found += ["deploy", "operate", *(f"endpoint-{name}" for name in served)]
    return [place.role(name) for name in found]


def bucket_policy(organisation: Organisation, place: Place, key: str) -> str:
    """Of the bucket of an environment; the registry's admits other accounts where there are any."""
    values: dict[str, str | list[str]] = {"bucket": place.bucket, "key": key}
    others = {deed: sorted({other.root for other in organisation.outside(deed)}) for deed in ("train", "deploy")}
    if place != organisation.registry or not (others["train"] and others["deploy"]):
        return document("bucket", values)
    return document(
        "packages-bucket", {**values, "train_accounts": others["train"], "deploy_accounts": others["deploy"]}
    )


def group_policy(organisation: Organisation, model: str) -> str:
    """Of the package group of a model; empty where no other account uses it."""
    central = organisation.registry
    registrars = [place.role(f"train-{model}") for place in organisation.outside("train")]
    deployers = [place.role(name) for place in organisation.outside("deploy") for name in ("deploy", "operate")]
    if not (registrars and deployers):
        return ""
    return document(
        "package-group",
        {
            "account": central.account,
            "region": central.region,
            "model": model,
            "registrars": registrars,
            "deployers": deployers,
        },
    )


def topic_policy(place: Place) -> str:
    """Of the topic of an environment, to which the rules of `infra/events` may publish."""
    names = sorted(path.stem for path in (FOLDER / "events").glob("*.json"))
    rules = [f"arn:aws:events:{place.region}:{place.account}:rule/models-{name}" for name in names]
    return document("topic", {"account": place.account, "topic": place.topic, "rules": rules})


def environments(organisation: Organisation, keys: Mapping[str, str]) -> dict[str, Any]:
    """The document that `environments.json` holds."""
    return {
        "registry": organisation.registry.name,
        "serving": organisation.serving.name,
        "environments": {place.name: _environment(place, keys[place.name]) for place in organisation.places},
    }


def _environment(place: Place, key: str) -> dict[str, Any]:
    """An environment of that document; members that it does not have are left out."""
    members: dict[str, Any] = {
        "account": place.account,
        "region": place.region,
        "bucket": place.bucket,
        "kms_key": key,
        "topic": place.topic,
        "session_seconds": SESSION_SECONDS,
    }
    if place.does & {"train", "deploy"}:
        members["job_role"] = place.role("jobs-{model}")
    if "deploy" in place.does:
        members["endpoint_role"] = place.role("endpoint-{model}")
    return members | ({"after": place.after} if place.after else {})


def contexts(organisation: Organisation) -> dict[str, dict[str, str]]:
    """What each CircleCI context holds."""
    central, serving = organisation.registry, organisation.serving
    [training] = organisation.doing("train")
    found = {
        "train": _context(training, "train-{model}"),
        "approve": _context(central, "approve"),
        "deploy": _context(serving, "deploy"),
        "operate": _context(serving, "operate"),
    }
    for place in organisation.doing("deploy")[:-1]:
        found[f"deploy-{place.name}"] = _context(place, "deploy")
    return found


def _context(place: Place, role: str) -> dict[str, str]:
    return {"AWS_ROLE_ARN": place.role(role), "MODELS_ENVIRONMENT": place.name}
