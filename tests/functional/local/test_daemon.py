"""Starting and stopping, and what a restart finds again."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import ModelsError, SettingsError, UsageError
from common.local import daemon
from tests.accounts import Account


def up(root: Path, port: int = 0) -> daemon.Running:
    started: list[daemon.Running] = []
    daemon.up(root, port, detach=True, time_scale=0.01, announce=started.append)
    return started[0]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    if daemon.status(tmp_path / "state"):
        daemon.down(tmp_path / "state")


def fill(url: str) -> Account:
    """An account with something of everything that has to survive."""
    own = Account(url, "121212121212")
    own.client("s3").create_bucket(Bucket=own.bucket, CreateBucketConfiguration={"LocationConstraint": own.region})
    own.client("s3").put_object(Bucket=own.bucket, Key="k", Body=b"kept")
    own.client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
    own.client("sns").create_topic(Name="kept")
    key = own.client("kms").create_key()["KeyMetadata"]["KeyId"]
    own.client("kms").create_alias(AliasName="alias/kept", TargetKeyId=key)
    own.client("iam").create_open_id_connect_provider(Url="https://kept.example", ClientIDList=["kept"])
    own.client("cloudwatch").put_metric_alarm(
        AlarmName="kept", MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", Statistic="Sum",
    )  # fmt: skip
    return own


def assert_kept(url: str, before: Account) -> Account:
    own = Account(url, before.account)
    own.__dict__["credentials"] = before.credentials  # a role that was assumed before the restart still counts
    assert own.client("s3").get_object(Bucket=own.bucket, Key="k")["Body"].read() == b"kept"
    groups = own.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in groups] == ["kept"]
    assert len(own.client("sns").list_topics()["Topics"]) == 1
    [kept] = own.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert kept["Arn"].endswith("/kept.example")
    kms = own.client("kms")
    closed = kms.encrypt(KeyId="alias/kept", Plaintext=b"kept")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=closed)["Plaintext"] == b"kept"
    assert [alarm["AlarmName"] for alarm in own.client("cloudwatch").describe_alarms()["MetricAlarms"]] == ["kept"]
    return own


def test_restart_finds_everything_again(root: Path) -> None:
    own = fill(up(root).url)
    logs, group = own.client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    logs.create_log_group(**group)
    logs.create_log_stream(**group, logStreamName="job")
    now = int(time.time() * 1000)
    logs.put_log_events(**group, logStreamName="job", logEvents=[{"timestamp": now, "message": "kept"}])
    daemon.down(root)
    assert daemon.status(root) is None
    again = assert_kept(up(root).url, own)
    events = again.client("logs").get_log_events(**group, logStreamName="job")["events"]
    assert [event["message"] for event in events] == ["kept"]


def test_killed_server_loses_a_second_at_most(root: Path) -> None:
    running = up(root)
    own = fill(running.url)
    saved = root / "moto"
    marks = [saved / f"{service}.pickle" for service in ("s3", "iam", "sts", "sns", "cloudwatch")]
    assert eventually(lambda: all(path.exists() for path in marks), 5)
    before = marks[0].stat().st_mtime_ns
    own.client("s3").put_object(Bucket=own.bucket, Key="late", Body=b"late")
    assert eventually(lambda: marks[0].stat().st_mtime_ns > before, 5)
    os.kill(running.pid, signal.SIGKILL)
    assert eventually(lambda: daemon.status(root) is None)
    again = up(root)
    assert_kept(again.url, own)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (saved, *saved.rglob("*")))


def test_second_start_on_the_same_folder_says_so(root: Path) -> None:
    running = up(root)
    with pytest.raises(ModelsError, match=f"already runs on {root}.*{running.url}"):
        daemon.up(root, port=0, detach=True)
    with pytest.raises(ModelsError, match="already runs"):
        daemon.up(root, port=0)
    assert daemon.status(root) == running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_server_ends_cleanly_on_a_signal(root: Path, number: signal.Signals) -> None:
    code = (
        f"from common.local import daemon as d; from pathlib import Path; d.up(Path({str(root)!r}), 0, announce=print)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
    assert daemon.status(root) is None


def test_taken_port_is_named(root: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ModelsError, match=f"Port {port} of 127.0.0.1 cannot be used"):
            daemon.up(root, port, detach=True)
        with pytest.raises(UsageError, match=f"Port {port} of 127.0.0.1 cannot be used"):
            daemon.up(root, port)
    assert daemon.status(root) is None


def test_nothing_to_stop_is_an_error_with_a_remedy(root: Path) -> None:
    with pytest.raises(ModelsError, match="models local up"):
        daemon.down(root)


@pytest.mark.parametrize("setting", ["fast", "0", "-1", "nan", "inf"])
def test_time_scale_must_be_a_positive_number(root: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("LOCAL_AWS_TIME_SCALE", setting)
    with pytest.raises(SettingsError, match="LOCAL_AWS_TIME_SCALE"):
        daemon.up(root, port=0, detach=True)


def test_damaged_state_is_refused_and_named(root: Path) -> None:
    (root / "moto").mkdir(parents=True)
    (root / "moto" / "s3.pickle").write_bytes(b"no pickle")
    with pytest.raises(ModelsError, match=r"s3\.pickle of the local AWS cannot be read"):
        daemon.up(root, port=0, detach=True)


def test_server_that_is_slow_to_start_is_named_with_its_log(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    with (root / "lock").open("w") as lock:  # as a server holds it that does not answer yet
        fcntl.flock(lock, fcntl.LOCK_EX)
        with monkeypatch.context() as hasty:
            hasty.setattr(daemon, "_START_SECONDS", 0.05)
            with pytest.raises(ModelsError, match="has not answered within") as said:
                daemon.up(root, port=0)
    assert "server.log" in said.value.remedy


def test_container_of_a_killed_server_does_not_outlive_the_next_start(root: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, env={"SAGEMAKER_BASE_DIR": f"{root.resolve()}/jobs/a"}) as orphan:
        up(root)
        assert orphan.wait(timeout=10) == -signal.SIGKILL


def test_its_variables_are_what_boto3_needs(root: Path) -> None:
    running = up(root)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    asked = [sys.executable, "-c", "import boto3; boto3.client('sagemaker').list_models()"]
    assert subprocess.run(asked, env=environment | running.variables, check=False).returncode == 0
