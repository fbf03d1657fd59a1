"""Two real models share an endpoint, from training to withdrawal, by the command line."""

import json
from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import Clone
from tests.models import MODELS

DEPLOY = """\
from common.deployment import Alarm, AllAtOnce, SharedEndpoint
from common.steps import deploy
from {name}_model import MODEL

ENDPOINT = SharedEndpoint(
    "tabular",
    instance_type="{type}",
    rollout=AllAtOnce(bake_seconds=30),
    alarms=(Alarm("Invocation5XXErrors", "Sum", above=0),),
)

if __name__ == "__main__":
    deploy(MODEL, ENDPOINT)
"""


def declare(clone: Clone, name: str, instance_type: str = "ml.m5.large") -> None:
    (clone.path / f"{name}_model" / "deploy.py").write_text(DEPLOY.format(name=name, type=instance_type))


@pytest.mark.long
def test_abalone_and_churn_are_served_by_one_endpoint(aws: Account, tmp_path: Path) -> None:
    clone = Clone.create(tmp_path, models=("abalone", "churn"))
    declare(clone, "abalone", "ml.m5.xlarge")
    declare(clone, "churn")
    clone.commit()
    clone.push("main")
    clone.succeed(aws, "train", "abalone")
    clone.succeed(aws, "approve", "abalone")
    refused = clone.models(aws, "deploy", "abalone")
    assert refused.returncode == 2
    assert "abalone and churn declare the shared endpoint tabular differently: instance_type is" in refused.stderr

    declare(clone, "abalone")
    clone.commit()
    clone.push("main")
    assert "add abalone version 1" in clone.succeed(aws, "deploy", "abalone", "--plan")
    clone.succeed(aws, "deploy", "abalone")
    clone.release(aws, "churn")
    clone.succeed(aws, "status", "--check")
    for name in ("abalone", "churn"):
        told = clone.succeed(aws, "invoke", name, json.dumps(MODELS[name].record)).split()
        value = float(told[-1] if name == "abalone" else told[-2])
        assert MODELS[name].low <= value <= MODELS[name].high
    assert "tabular-shared-" in clone.succeed(aws, "history", "churn", "--csv")

    clone.edit("churn_model/deploy.py", '"tabular"', '"others"')
    clone.commit()
    clone.push("main")
    plan = clone.succeed(aws, "deploy", "abalone", "--plan")
    assert "remove churn version 1 (main no longer declares it for this endpoint)" in plan
    (clone.path / "churn_model" / "stray.py").write_text("")  # a checkout that is not main's cannot tell
    assert "remove" not in clone.succeed(aws, "deploy", "abalone", "--plan")
