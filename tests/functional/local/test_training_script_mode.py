"""Script mode: the source from S3, its requirements, arguments and environment, and how scripts fail."""

import hashlib
import io
import json
import tarfile
import zipfile

import pytest

from tests.accounts import Account
from tests.archives import archive
from tests.functional.local.training_support import (
    SCIKIT_LEARN,
    XGBOOST,
    channel,
    get,
    keys,
    log_lines,
    put,
    regression_csv,
    run_job,
    script_request,
)

SHOW = """
import json, os, sys
print("ARGS", json.dumps(sys.argv[1:]))
print("CWD", sorted(os.listdir(".")))
names = [n for n in os.environ if n.startswith("SM_")] + ["STAGE", "TRAINING_JOB_NAME", "TRAINING_JOB_ARN"]
print("ENV", json.dumps({n: os.environ.get(n) for n in names}))
print("OTHERS", json.dumps(sorted(n for n in os.environ if not n.startswith(("SM_", "PIP_", "LC_")))))
"""

OWN_VARIABLES = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", "HOME", "LANG", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PATH"),
    *("PYTHONPATH", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR", "STAGE", "TRAINING_JOB_ARN", "TRAINING_JOB_NAME"),
}
"""All that a script sees beside the toolkit's variables: nothing else of this machine's environment."""


def printed(aws: Account, job: str, word: str) -> str:
    (line,) = [line for line in log_lines(aws, job) if line.startswith(word)]
    return line.removeprefix(word).strip()


def test_a_script_gets_its_arguments_and_environment(aws: Account) -> None:
    put(aws, "data/train/part-0.csv", regression_csv())
    hyperparameters = {"n": "5", "learning-rate": "0.5", "name": json.dumps("quoted"), "flag": "true", "plain": "text"}
    request = script_request(
        aws,
        "shown",
        SHOW,
        {"lib/helper.py": ""},
        HyperParameters=hyperparameters,
        InputDataConfig=[channel(aws, "train", "data/train/"), channel(aws, "extra-data", "data/train/")],
        Environment={"STAGE": "test"},
    )
    job = run_job(aws, request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    expected = ["--flag", "True", "--learning-rate", "0.5", "-n", "5", "--name", "quoted", "--plain", "text"]
    assert json.loads(printed(aws, "shown", "ARGS")) == expected
    assert printed(aws, "shown", "CWD") == "['lib', 'train.py']"
    assert set(json.loads(printed(aws, "shown", "OTHERS"))) == OWN_VARIABLES
    found = json.loads(printed(aws, "shown", "ENV"))
    assert found["STAGE"] == "test"
    assert found["TRAINING_JOB_NAME"] == "shown"
    assert found["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert found["SM_CHANNEL_TRAIN"].endswith("/input/data/train")
    assert found["SM_CHANNEL_EXTRA-DATA"].endswith("/input/data/extra-data")
    assert json.loads(found["SM_CHANNELS"]) == ["extra-data", "train"]
    assert json.loads(found["SM_HPS"]) == {
        "n": 5,
        "learning-rate": 0.5,
        "name": "quoted",
        "flag": True,
        "plain": "text",
    }
    assert (found["SM_HP_N"], found["SM_HP_NAME"], found["SM_HP_FLAG"]) == ("5", "quoted", "true")
    assert json.loads(found["SM_USER_ARGS"]) == expected
    assert json.loads(found["SM_HOSTS"]) == ["algo-1"]
    assert (found["SM_CURRENT_HOST"], found["SM_CURRENT_INSTANCE_TYPE"]) == ("algo-1", "ml.m5.large")
    assert json.loads(found["SM_RESOURCE_CONFIG"])["instance_groups"][0]["hosts"] == ["algo-1"]
    assert found["SM_MODEL_DIR"].endswith("/model")
    assert found["SM_OUTPUT_DATA_DIR"].endswith("/output/data")
    assert found["SM_OUTPUT_DIR"].endswith("/output")
    assert found["SM_INPUT_DIR"].endswith("/input")
    assert found["SM_INPUT_CONFIG_DIR"].endswith("/input/config")
    assert (found["SM_NUM_GPUS"], int(found["SM_NUM_CPUS"]) > 0) == ("0", True)
    assert json.loads(found["SM_TRAINING_ENV"])["hosts"] == ["algo-1"]


SCIKIT_SCRIPT = """
import os, pathlib, joblib, numpy as np
from sklearn.linear_model import LinearRegression
rows = np.loadtxt(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "part-0.csv", delimiter=",")
model = LinearRegression().fit(rows[:, 1:], rows[:, 0])
joblib.dump(model, pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "score.txt").write_text("0.9")
print("r2=%.4f" % model.score(rows[:, 1:], rows[:, 0]))
"""


def test_a_scikit_learn_script_leaves_model_output_and_metric(aws: Account) -> None:
    put(aws, "data/train/part-0.csv", regression_csv())
    specification = {
        "TrainingImage": SCIKIT_LEARN,
        "TrainingInputMode": "FastFile",
        "MetricDefinitions": [{"Name": "r2", "Regex": "r2=([0-9.]+)"}],
    }
    channels = [channel(aws, "train", "data/train/")]
    request = script_request(
        aws, "linear", SCIKIT_SCRIPT, AlgorithmSpecification=specification, InputDataConfig=channels
    )
    job = run_job(aws, request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    (metric,) = job["FinalMetricDataList"]
    assert metric["MetricName"] == "r2"
    assert metric["Value"] > 0.99
    for name, members in (("model", ["model.joblib"]), ("output", ["score.txt"])):
        with tarfile.open(fileobj=io.BytesIO(get(aws, f"out/linear/output/{name}.tar.gz"))) as tar:
            assert tar.getnames() == members


def test_a_script_uses_boto3_as_the_jobs_role_in_the_jobs_account(aws: Account) -> None:
    script = """
import boto3
print("ARN", boto3.client("sts").get_caller_identity()["Arn"])
boto3.client("s3").put_object(Bucket="BUCKET", Key="from-the-script", Body=b"hello")
""".replace("BUCKET", aws.bucket)
    assert run_job(aws, script_request(aws, "calls", script))["TrainingJobStatus"] == "Completed"
    assert printed(aws, "calls", "ARN") == f"arn:aws:sts::{aws.account}:assumed-role/SageMakerExecution/SageMaker"
    assert get(aws, "from-the-script") == b"hello"


def wheel(name: str, source: str, *needs: str) -> bytes:
    """A minimal wheel of one module, so that nothing has to be downloaded."""
    buffer, requires = io.BytesIO(), "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(buffer, "w") as package:
        info = f"{name}-1.0.dist-info"
        package.writestr(f"{name}.py", source)
        package.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
        package.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        package.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


def test_requirements_are_installed_for_the_job_alone(aws: Account) -> None:
    request = script_request(aws, "needs", 'import tiny_needed; print("GOT", tiny_needed.VALUE)')
    files: dict[str, str | bytes] = {
        "train.py": 'import tiny_needed; print("GOT", tiny_needed.VALUE)',
        "requirements.txt": "--no-index\n--find-links .\ntiny_needed==1.0\n",
        "tiny_needed-1.0-py3-none-any.whl": wheel("tiny_needed", "VALUE = 42\n"),
    }
    put(aws, "code/needs.tar.gz", archive(files))
    assert run_job(aws, request)["TrainingJobStatus"] == "Completed"
    assert printed(aws, "needs", "GOT") == "42"
    with pytest.raises(ModuleNotFoundError):
        __import__("tiny_needed")


def test_requirements_with_hashes_are_installed_beside_what_the_image_has(aws: Account) -> None:
    needs = wheel("tiny_needed", "VALUE = 42\n", "numpy>=1", "click>=1")
    requirement = f"tiny_needed==1.0 --hash=sha256:{hashlib.sha256(needs).hexdigest()}\n"
    files: dict[str, str | bytes] = {
        "train.py": 'import numpy, sys, tiny_needed; print("GOT", tiny_needed.VALUE, numpy.__file__.startswith(sys.prefix))',
        "requirements.txt": f"--no-index\n--find-links .\n{requirement}",
        "tiny_needed-1.0-py3-none-any.whl": needs,
    }
    request = script_request(aws, "hashed", "")
    put(aws, "code/hashed.tar.gz", archive(files))
    assert run_job(aws, request)["TrainingJobStatus"] == "Completed"
    assert printed(aws, "hashed", "GOT") == "42 True"
    exchanged = files | {"tiny_needed-1.0-py3-none-any.whl": wheel("tiny_needed", "VALUE = 43\n")}
    request = script_request(aws, "exchanged", "")
    put(aws, "code/exchanged.tar.gz", archive(exchanged))
    job = run_job(aws, request)
    assert job["FailureReason"].startswith("AlgorithmError: UserError: InstallRequirementsError: ")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in "\n".join(log_lines(aws, "exchanged"))


def test_requirements_that_cannot_be_installed_fail_the_job_with_pips_words(aws: Account) -> None:
    requirements = {"requirements.txt": "--no-index\nno_such_package==1.0\n"}
    job = run_job(aws, script_request(aws, "unmet", "print('never')", requirements))
    assert job["FailureReason"].startswith("AlgorithmError: UserError: InstallRequirementsError: ")
    assert "no_such_package==1.0" in job["FailureReason"]
    assert "never" not in log_lines(aws, "unmet")


def test_a_script_that_raises_fails_the_job_with_exit_code_message_and_command(aws: Account) -> None:
    job = run_job(aws, script_request(aws, "raises", "raise ValueError('no rows')", HyperParameters={"depth": "3"}))
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage ")
    assert "ValueError: no rows" in reason
    assert reason.endswith('train.py --depth 3"')
    assert any("ValueError: no rows" in line for line in log_lines(aws, "raises"))


def test_the_scripts_own_failure_file_is_the_reason_up_to_1024_characters(aws: Account) -> None:
    script = """
import os, pathlib, sys
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("x" * 2000)
sys.exit(7)
"""
    assert run_job(aws, script_request(aws, "own", script))["FailureReason"] == "AlgorithmError: " + "x" * 1024


def test_a_container_that_dies_without_a_word_is_told_by_its_exit_code(aws: Account) -> None:
    script = "import os, signal; os.kill(os.getppid(), signal.SIGABRT)"
    assert run_job(aws, script_request(aws, "dies", script))["FailureReason"] == "AlgorithmError: , exit code: 134"


WHOLE = archive({"train.py": " ".join(map(str, range(9000)))})
DAMAGED = WHOLE[:4300] + b"U" * 100 + WHOLE[4400:]
"""A member of it cannot be decompressed, though the archive can be opened."""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not an archive", "cannot unpack s3://"),
        (archive({"../evil.py": "x"}), "cannot unpack s3://"),
        (archive({"train.py": "x" * 5000})[:-200], "cannot unpack s3://"),
        (DAMAGED, "cannot unpack s3://"),
        (archive({"other.py": "x"}), "the source has no program train.py"),
    ],
)
def test_a_source_archive_that_is_not_one_fails_the_job(aws: Account, body: bytes, message: str) -> None:
    request = script_request(aws, "source", "")
    put(aws, "code/source.tar.gz", body)
    assert message in run_job(aws, request)["FailureReason"]


def test_a_missing_source_archive_fails_the_job(aws: Account) -> None:
    request = script_request(aws, "gone", "")
    request["HyperParameters"]["sagemaker_submit_directory"] = json.dumps(f"s3://{aws.bucket}/nowhere.tar.gz")
    assert "cannot download s3://" in run_job(aws, request)["FailureReason"]


def test_the_scikit_learn_image_needs_a_script(aws: Account) -> None:
    request = script_request(
        aws, "none", "", AlgorithmSpecification={"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"}
    )
    request["HyperParameters"] = {"depth": "3"}
    assert "needs a script" in run_job(aws, request)["FailureReason"]


def test_the_source_may_lie_in_a_channel(aws: Account) -> None:
    put(aws, "src/train.py", "print('FROM the channel')")
    request = script_request(aws, "in-channel", "")
    request["InputDataConfig"] = [channel(aws, "code", "src/", ContentType="text/python")]
    request["HyperParameters"]["sagemaker_submit_directory"] = json.dumps("/opt/ml/input/data/code")
    assert run_job(aws, request)["TrainingJobStatus"] == "Completed"
    assert printed(aws, "in-channel", "FROM") == "the channel"


def test_a_script_may_leave_no_model(aws: Account) -> None:
    job = run_job(aws, script_request(aws, "empty", "pass"))
    assert job["TrainingJobStatus"] == "Completed"
    assert job["AlgorithmSpecification"]["TrainingImage"] == XGBOOST
    assert keys(aws, "out/") == []
