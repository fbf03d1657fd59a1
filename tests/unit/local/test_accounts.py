"""What accounts are made of: which role has which documents, and whether IAM and S3 take them."""

import json
import re
from pathlib import Path

import pytest

from common.environments import Environments
from common.local.accounts import layout
from common.local.accounts.layout import CircleCi, Organisation, Place, Role

CIRCLECI = CircleCi("github.com/acme/models", approvers=("11111111-1111-4111-8111-111111111111",))
FOUR = layout.four_accounts(CIRCLECI, ("abalone", "churn"), ("tabular",))
ONE = layout.one_account("555555555555", "acme-models", CIRCLECI, ("abalone", "churn"), ("tabular",))
LONGEST = tuple(letter * 24 for letter in "abcdefghijklmno")


def keys(organisation: Organisation) -> dict[str, str]:
    return {
        place.name: f"arn:aws:kms:{place.region}:{place.account}:key/12345678-1234-4234-8234-123456789012"
        for place in organisation.places
    }


def roles(organisation: Organisation, place: Place) -> dict[str, Role]:
    return {role.name: role for role in layout.roles(organisation, place, keys(organisation))}


def test_each_account_has_the_roles_of_what_is_done_there_and_no_others() -> None:
    dev, registry, staging, production = (set(roles(FOUR, place)) for place in FOUR.places)
    served = {f"models-endpoint-{name}" for name in ("abalone", "churn", "tabular")}
    jobs = {"models-jobs-abalone", "models-jobs-churn"}
    assert dev == {"models-train-abalone", "models-train-churn", *jobs}
    assert registry == {"models-approve"}
    assert staging == production == {"models-deploy", "models-operate", *served, *jobs}


def test_one_account_has_them_all_and_its_jobs_may_what_both_kinds_may() -> None:
    [place] = ONE.places
    found = roles(ONE, place)
    assert set(found) == {name for each in FOUR.places for name in roles(FOUR, each)}
    assert set(found["models-jobs-abalone"].policies) == {"jobs-training", "jobs-operations"}


@pytest.mark.parametrize("organisation", [ONE, FOUR], ids=["one", "four"])
def test_every_role_of_circleci_can_grow_nowhere_and_is_taken_on_by_identities_of_the_project_only(
    organisation: Organisation,
) -> None:
    for place in organisation.places:
        for name, role in roles(organisation, place).items():
            [statement] = json.loads(role.trust)["Statement"]
            if "Service" in statement["Principal"]:
                assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": place.account}}
                continue
            assert "never" in role.policies, name
            [subjects] = statement["Condition"]["StringLike"].values()
            for subject in subjects if isinstance(subjects, list) else [subjects]:
                assert "/vcs-origin/github.com/acme/models/vcs-ref/refs/heads/" in subject
                assert "*" not in subject.removesuffix("*")


@pytest.mark.parametrize("models", [LONGEST, tuple(f"model{n:03}" for n in range(20))], ids=["longest", "many"])
def test_iam_takes_the_policies_of_many_models(models: tuple[str, ...]) -> None:
    """10,240 characters for all inline policies of a role, 2,048 for its trust, without white space."""
    approvers = tuple(f"11111111-1111-4111-8111-{n:012}" for n in range(6))
    organisation = layout.four_accounts(CircleCi(CIRCLECI.repository, approvers=approvers), models, name="n" * 30)
    for place in organisation.places:
        for name, role in roles(organisation, place).items():
            assert sum(len(re.sub(r"\s", "", text)) for text in role.policies.values()) <= 10_240, name
            assert len(re.sub(r"\s", "", role.trust)) <= 2_048, name
    bucket = layout.bucket_policy(organisation, organisation.registry, keys(organisation)["registry"])
    assert len(bucket) <= 20_480


def test_the_registry_admits_other_accounts_and_no_other_bucket_does() -> None:
    for place in FOUR.places:
        policy = json.loads(layout.bucket_policy(FOUR, place, keys(FOUR)[place.name]))
        allowed = {json.dumps(each["Principal"]) for each in policy["Statement"] if each["Effect"] == "Allow"}
        assert bool(allowed) == (place == FOUR.registry)
    assert layout.group_policy(ONE, "abalone") == ""
    registrars, deployers = (
        each["Principal"]["AWS"] for each in json.loads(layout.group_policy(FOUR, "abalone"))["Statement"]
    )
    assert registrars == ["arn:aws:iam::111111111111:role/models-train-abalone"]
    assert deployers == [
        f"arn:aws:iam::{account}:role/models-{name}"
        for account in ("333333333333", "444444444444")
        for name in ("deploy", "operate")
    ]


def test_the_key_of_the_registry_alone_is_used_by_roles_of_other_accounts() -> None:
    used = {
        place.name: json.loads(layout.key_policy(FOUR, place))["Statement"][1]["Principal"]["AWS"]
        for place in FOUR.places
    }
    assert used["dev"] == ["arn:aws:iam::111111111111:root"]
    assert "arn:aws:iam::444444444444:role/models-endpoint-tabular" in used["registry"]
    assert not [arn for arn in used["registry"] if arn.split(":")[4] == "222222222222"]


def test_contexts_hold_a_role_and_an_environment_and_nothing_else() -> None:
    found = layout.contexts(FOUR)
    assert set(found) == {"train", "approve", "deploy", "operate", "deploy-staging"}
    assert all(set(held) == {"AWS_ROLE_ARN", "MODELS_ENVIRONMENT"} for held in found.values())
    assert found["train"]["AWS_ROLE_ARN"] == "arn:aws:iam::111111111111:role/models-train-{model}"
    assert found["deploy-staging"] == {
        "AWS_ROLE_ARN": "arn:aws:iam::333333333333:role/models-deploy",
        "MODELS_ENVIRONMENT": "staging",
    }
    assert set(layout.contexts(ONE)) == {"train", "approve", "deploy", "operate"}


@pytest.mark.parametrize("organisation", [ONE, FOUR], ids=["one", "four"])
def test_commands_read_the_environments(organisation: Organisation, tmp_path: Path) -> None:
    file = tmp_path / "environments.json"
    file.write_text(json.dumps(layout.environments(organisation, keys(organisation))))
    found = Environments.read(file)
    assert list(found.all) == [place.name for place in organisation.places]
    assert (found.registry.bucket, found.serving.name) == (organisation.registry.bucket, "production")
    assert [each.name for each in found.all.values() if each.endpoint_role] == [
        place.name for place in organisation.doing("deploy")
    ]
    assert found.serving.after == ("staging" if organisation == FOUR else "")
