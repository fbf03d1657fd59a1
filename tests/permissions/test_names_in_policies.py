"""No policy names an action, a kind of resource or a condition key that AWS does not know."""

import json
from collections.abc import Mapping

from common.local.accounts import layout
from tests.permissions import iam_simulate, names
from tests.permissions.applied import Applied
from tests.permissions.iam_simulate import Service
from tests.permissions.requests import Document

# What SageMaker's guide on cross-account packages grants beyond the reference of its actions: kinds by action.
_OF_THE_GUIDE = {
    "CreateModel": "model-package",
    "CreateModelPackage": "model-package-group",
    "ListModelPackages": "model-package-group",
}


def faults(documents: Mapping[str, Document]) -> list[str]:
    iam_simulate.require()
    known, global_keys = iam_simulate.known({"sagemaker", *names.services(documents.values())})
    return [
        f"{where}: {fault}"
        for where, document in documents.items()
        for fault in names.faults(document, _with_the_guide(known), global_keys)
    ]


def _with_the_guide(known: Mapping[str, Service]) -> dict[str, Service]:
    sagemaker = known["sagemaker"]
    actions = dict(sagemaker.actions)
    for name, kind in _OF_THE_GUIDE.items():
        actions[name] = {**actions[name], "resources": {**actions[name]["resources"], kind: []}}
    return {**known, "sagemaker": Service(actions, sagemaker.resources)}


def test_aws_knows_every_name_in_the_applied_policies(applied: Applied) -> None:
    assert faults({f"{where} {index}": document for index, (where, document) in enumerate(applied.documents())}) == []


def test_aws_knows_every_name_in_the_policy_of_a_network() -> None:
    """Which no account on the local AWS has."""
    text = layout.document("network", {"account": "111111111111", "region": "eu-west-1"})
    assert faults({"network": json.loads(text)}) == []
