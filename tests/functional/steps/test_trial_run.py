"""A trial run shows that everything works, and leaves nothing that could be approved or learnt from."""

from pathlib import Path

import pytest

from tests.accounts import Account
from tests.clones import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    churn = Clone.create(tmp_path, models=("abalone", "churn"))
    churn.edit("churn_model/train_register.py", r"jobs=\d+", "jobs=2")
    churn.edit("churn_model/train_register.py", r'"num_round": \d+', '"num_round": 20')
    churn.edit("churn_model/train_register.py", r"at_most=[\d.]+", "at_most=9")
    churn.commit()
    return churn


def test_a_trial_run_tunes_with_one_job_registers_nothing_and_is_no_parent(clone: Clone, aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    said = clone.succeed(aws, "train", "churn", "--testing")
    assert "nothing registered; build/churn/report.html has the evaluation" in said
    assert "# churn: passed" in said
    assert "churn: passed" in (clone.path / "build/churn/report.html").read_text()
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 1
    assert not [key for key in _keys(aws) if key.startswith("churn/packages/")]

    said = clone.succeed(aws, "train", "churn")
    assert "it was a test run" in said
    assert "learns from no earlier tuning job" in said
    assert len(sagemaker.list_training_jobs()["TrainingJobSummaries"]) == 3
    assert "registered version 1" in said


def _keys(aws: Account) -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket=aws.bucket).get("Contents", [])
    return [entry["Key"] for entry in found]
