"""Endpoints are created, described, listed, resized and deleted as on AWS, and restored after a restart."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from common.local.api import ApiError
from common.local.hosting.fleet import Fleet
from common.local.hosting.host import Hosting
from common.local.sagemaker import tags  # noqa: F401 - declares the operations
from common.local.sagemaker.endpoints import resume
from tests.functional.local.hosting_kit import IMAGE, REGION, Local, artifact, constant_load, eventually, open_local


def refused(local: Local, operation: str, **request: Any) -> str:
    """The message of the ValidationException that the operation answers."""
    with pytest.raises(ApiError) as error:
        local.do(operation, **request)
    assert error.value.code == "ValidationException"
    return error.value.message


def is_running(process_id: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_created_endpoint_is_described_with_what_serves(local: Local) -> None:
    local.model("a")
    config = local.config("a", instances=2)
    arn = local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=config)["EndpointArn"]
    creating = local.describe()
    assert (creating["EndpointStatus"], creating["ProductionVariants"][0]["CurrentInstanceCount"]) == ("Creating", 0)
    settled = local.settled()
    [variant] = settled["ProductionVariants"]
    assert arn == settled["EndpointArn"] == f"arn:aws:sagemaker:eu-west-1:{local.account}:endpoint/e"
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", "a")
    assert settled["CreationTime"] < settled["LastModifiedTime"]
    assert "FailureReason" not in settled
    assert (variant["VariantName"], variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == ("v1", 2, 2)
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1, 1)
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert len(local.process_ids()) == 2


def test_names_that_are_taken_or_missing_are_refused_in_the_words_of_aws(local: Local) -> None:
    local.serving("a")
    arn = f"arn:aws:sagemaker:eu-west-1:{local.account}"
    exists = refused(local, "CreateEndpoint", EndpointName="e", EndpointConfigName="a")
    assert exists == f'Cannot create already existing endpoint "{arn}:endpoint/e".'
    no_config = f'Could not find endpoint configuration "{arn}:endpoint-config/none".'
    assert refused(local, "CreateEndpoint", EndpointName="f", EndpointConfigName="none") == no_config
    assert refused(local, "UpdateEndpoint", EndpointName="e", EndpointConfigName="none") == no_config
    for operation, members in (
        ("DescribeEndpoint", {}),
        ("DeleteEndpoint", {}),
        ("UpdateEndpoint", {"EndpointConfigName": "a"}),
        ("UpdateEndpointWeightsAndCapacities", {"DesiredWeightsAndCapacities": []}),
    ):
        message = refused(local, operation, EndpointName="f", **members)
        assert message == f'Could not find endpoint "{arn}:endpoint/f".'


def _unsafe_tar(local: Local) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../outside"))
    return local.put_object("unsafe.tar.gz", buffer.getvalue())


def _truncated_tar(local: Local) -> str:
    local.model("whole", padding=list(range(5000)))
    content = local.aws.services.read_object(local.account, f"models-{local.account}", "whole.tar.gz")
    return local.put_object("half.tar.gz", content[: len(content) // 2])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (lambda local: f"s3://models-{local.account}/none.tar.gz", "Failed to download model data"),
        (lambda _local: "s3://no-such-bucket/model.tar.gz", "Failed to download model data"),
        (lambda local: local.put_object("text.tar.gz", b"no archive"), "Failed to extract model data archive"),
        (_truncated_tar, "Failed to extract model data archive"),
        (_unsafe_tar, "Failed to extract model data archive"),
    ],
    ids=["missing object", "missing bucket", "no archive", "truncated archive", "archive that leaves its folder"],
)
def test_an_artifact_that_cannot_be_used_fails_the_endpoint_with_the_reason(
    local: Local, url: Any, reason: str
) -> None:
    where = url(local)
    local.model_from("a", {"Image": IMAGE, "ModelDataUrl": where})
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    settled = local.settled()
    assert settled["EndpointStatus"] == "Failed"
    assert settled["FailureReason"].startswith(f'{reason} for container "primary" from URL "{where}"') or settled[
        "FailureReason"
    ].startswith(f'{reason} for container "primary" from URL: "{where}"')
    assert not list(local.aws.root.rglob("outside"))


def test_an_image_that_this_machine_cannot_play_fails_the_endpoint(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    from common.local.containers import program

    monkeypatch.setattr("common.local.hosting.fleet.program", program)
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    settled = local.settled()
    assert settled["EndpointStatus"] == "Failed"
    assert "image for production variant v1 cannot be run" in settled["FailureReason"]


def test_a_container_that_cannot_be_started_fails_the_endpoint_at_once_and_says_why_in_its_log(local: Local) -> None:
    url = local.put_object("a.tar.gz", artifact(answer="a"))
    local.model_from("a", {"Image": IMAGE, "ModelDataUrl": url, "Environment": {"A": "\0"}})
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    began = time.monotonic()
    assert local.settled()["EndpointStatus"] == "Failed"
    assert time.monotonic() - began < 5
    local.aws.part(Hosting).telemetry.flush()
    [stream] = get_backend("logs")[local.account][REGION].groups["/aws/sagemaker/Endpoints/e"].streams.values()
    assert [event.message for event in stream.events] == ["The container cannot be started: embedded null byte"]


def test_a_failure_that_nobody_foresaw_settles_the_endpoint_too(
    local: Local, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    local.serving("a")

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("common.local.hosting.fleet.unpack_artifact", full_disk)
        local.update("a")
        settled = local.settled()
        assert settled["EndpointStatus"] == "UpdateRollbackFailed"
        assert settled["FailureReason"] == "Internal error: No space left on device"
        local.do("CreateEndpoint", EndpointName="f", EndpointConfigName="a")
        assert local.settled("f")["EndpointStatus"] == "Failed"
    assert "No space left on device" in caplog.text
    assert local.invoke()[0] == b"a:"
    local.update("a")
    assert local.settled()["EndpointStatus"] == "InService"


def test_an_endpoint_that_comes_up_after_a_restart_can_be_deleted(local: Local) -> None:
    local.serving("a")
    local.aws.close()
    again = Local(open_local(local.aws.root), local.account)
    try:
        resume(again.aws)
        again.do("DeleteEndpoint", EndpointName="e")
        eventually(lambda: not again.do("ListEndpoints")["Endpoints"], "the endpoint is gone")
        assert not list((again.aws.root / "endpoints").rglob("behaviour.json"))
        with pytest.raises(ApiError, match="not found"):
            again.invoke()
    finally:
        again.aws.close()


def test_a_failed_endpoint_can_be_deleted_but_not_updated(local: Local) -> None:
    local.model("a", exit=1)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    assert "did not pass the ping health check" in local.settled()["FailureReason"]
    assert "status is Failed" in refused(local, "UpdateEndpoint", EndpointName="e", EndpointConfigName="a")
    local.do("DeleteEndpoint", EndpointName="e")
    eventually(lambda: not local.do("ListEndpoints")["Endpoints"], "the endpoint is gone")


def test_an_endpoint_that_is_being_created_cannot_be_deleted(local: Local) -> None:
    local.model("a")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    message = refused(local, "DeleteEndpoint", EndpointName="e")
    assert message == f'Cannot update in-progress endpoint "arn:aws:sagemaker:eu-west-1:{local.account}:endpoint/e".'
    assert local.settled()["EndpointStatus"] == "InService"


def test_deleting_answers_the_requests_under_way_and_leaves_no_process(local: Local) -> None:
    local.serving("a", seconds=0.3)
    [process] = local.process_ids()
    with constant_load(local, threads=2) as load:
        eventually(lambda: load.answers, "the load runs")
        local.do("DeleteEndpoint", EndpointName="e")
        eventually(lambda: not local.do("ListEndpoints")["Endpoints"], "the endpoint is gone")
    assert {error.code for error in load.errors} == {"ValidationError"}  # refused afterwards, never cut off
    assert not is_running(process)
    assert not list((local.aws.root / "endpoints").rglob("behaviour.json"))


def test_tags_given_to_an_endpoint_while_it_is_deleted_are_not_the_next_ones(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.serving("a")
    arn = local.describe()["EndpointArn"]
    tagged, stop = threading.Event(), Fleet.stop

    def stop_when_tagged(fleet: Fleet) -> None:
        tagged.wait(10)
        stop(fleet)

    with monkeypatch.context() as held:
        held.setattr(Fleet, "stop", stop_when_tagged)
        local.do("DeleteEndpoint", EndpointName="e")
        local.do("AddTags", ResourceArn=arn, Tags=[{"Key": "late", "Value": "tag"}])
        tagged.set()
        eventually(lambda: not local.do("ListEndpoints")["Endpoints"], "the endpoint is gone")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName="a")
    assert local.do("ListTags", ResourceArn=arn)["Tags"] == []


def test_a_container_that_ignores_sigterm_is_killed(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.local.hosting.worker._TERMINATION_GRACE_SECONDS", 0.1)
    local.serving("a", stubborn=True)
    [process] = local.process_ids()
    os.kill(process, signal.SIGTERM)
    assert local.invoke()[0] == b"a:"
    local.do("DeleteEndpoint", EndpointName="e")
    eventually(lambda: not local.do("ListEndpoints")["Endpoints"], "the endpoint is gone")
    assert not is_running(process)


def test_an_endpoint_serves_on_when_its_configuration_and_model_are_deleted(local: Local) -> None:
    local.serving("a")
    local.aws.store.delete(local.scope, "endpoint-config", "a")
    local.aws.store.delete(local.scope, "model", "a")
    assert local.invoke()[0] == b"a:"
    assert local.describe()["ProductionVariants"][0]["VariantName"] == "v1"


def test_lists_filter_by_name_and_status_and_are_paged(local: Local) -> None:
    local.model("a")
    local.model("bad", exit=1)
    local.config("a")
    local.config("bad")
    for name, config in (("one", "a"), ("two", "a"), ("wrong", "bad")):
        local.do("CreateEndpoint", EndpointName=name, EndpointConfigName=config)
    for name in ("one", "two", "wrong"):
        local.settled(name)

    def names(**filters: Any) -> list[str]:
        return [each["EndpointName"] for each in local.do("ListEndpoints", **filters)["Endpoints"]]

    assert names() == ["wrong", "two", "one"]
    assert names(SortBy="Name", SortOrder="Ascending", StatusEquals="InService") == ["one", "two"]
    assert names(NameContains="w") == ["wrong", "two"]
    first = local.do("ListEndpoints", MaxResults=2)
    assert names(MaxResults=2, NextToken=first["NextToken"]) == ["one"]


def test_weights_move_traffic_between_variants_and_counts_start_and_stop_instances(local: Local) -> None:
    local.model("a")
    local.model("b")
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("ab", "a", "b"))
    local.settled()
    with constant_load(local) as load:
        eventually(lambda: len(load.answers) > 100, "the load runs")
        share = load.answers.count("a") / len(load.answers)
        local.do(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="e",
            DesiredWeightsAndCapacities=[
                {"VariantName": "v1", "DesiredWeight": 0.0},
                {"VariantName": "v2", "DesiredInstanceCount": 2},
            ],
        )
        during = {variant["VariantName"]: variant for variant in local.describe()["ProductionVariants"]}
        settled = {variant["VariantName"]: variant for variant in local.settled()["ProductionVariants"]}
        answered = len(load.answers) + 4
        eventually(lambda: len(load.answers) > answered + 50, "more requests")
    assert share == pytest.approx(0.5, abs=0.1)
    assert (during["v2"]["CurrentInstanceCount"], during["v2"]["DesiredInstanceCount"]) == (1, 2)
    assert (settled["v1"]["CurrentWeight"], settled["v2"]["CurrentInstanceCount"]) == (0, 2)
    assert set(load.answers[answered:]) == {"b"}
    assert len(local.process_ids()) == 3
    assert not load.errors


def test_weights_and_counts_that_cannot_be_are_refused(local: Local) -> None:
    local.serving("a")

    def change(*changes: dict[str, Any]) -> str:
        return refused(
            local, "UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=list(changes)
        )

    assert "has no variant v9" in change({"VariantName": "v9", "DesiredWeight": 1.0})
    assert "more than once" in change({"VariantName": "v1"}, {"VariantName": "v1"})
    assert "weight above zero" in change({"VariantName": "v1", "DesiredWeight": 0.0})
    assert "at least one instance" in change({"VariantName": "v1", "DesiredInstanceCount": 0})
    assert "serverless" in change({"VariantName": "v1", "ServerlessUpdateConfig": {"MaxConcurrency": 1}})


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"ShadowProductionVariants": [{"VariantName": "s"}]}, "inference components"),
        (
            {"ProductionVariants": [{"VariantName": "v", "ManagedInstanceScaling": {"Status": "ENABLED"}}]},
            "managed instance scaling",
        ),
        ({"ProductionVariants": [{"VariantName": "v"}]}, "inference components"),
    ],
)
def test_what_is_not_supported_yet_says_so_instead_of_serving_without_it(
    local: Local, members: dict[str, Any], what: str
) -> None:
    local.model("a")
    message = refused(local, "CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a", **members))
    assert message.startswith("This local AWS does not support")
    assert what in message


@pytest.mark.parametrize(
    ("members", "others", "what"),
    [
        ({}, [], "without a script"),
        ({"ModelDataSource": {"S3DataSource": {}}}, [], "ModelDataSource"),
        ({}, [{"Image": IMAGE}], "inference pipeline"),
    ],
)
def test_multi_model_containers_of_some_kinds_are_not_supported_yet(
    local: Local, members: dict[str, Any], others: list[dict[str, Any]], what: str
) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://b/prefix/", "Mode": "MultiModel", **members}
    local.model_from("a", container, *others)
    message = refused(local, "CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    assert message.startswith("This local AWS does not support")
    assert what in message


def test_data_capture_that_is_switched_off_is_described(local: Local) -> None:
    local.model("a")
    capture = {
        "EnableCapture": False,
        "InitialSamplingPercentage": 30,
        "DestinationS3Uri": "s3://b/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a", DataCaptureConfig=capture))
    assert local.settled()["DataCaptureConfig"] == {
        "EnableCapture": False,
        "CaptureStatus": "Stopped",
        "CurrentSamplingPercentage": 30,
        "DestinationS3Uri": "s3://b/capture",
        "KmsKeyId": "",
    }


def test_a_restart_finishes_what_was_being_created_and_deleted(local: Local) -> None:
    local.serving("a")
    for name, status in (("new", "Creating"), ("old", "Deleting")):
        document = local.aws.store.get(local.scope, "endpoint", "e")
        assert document is not None
        local.aws.store.put(local.scope, "endpoint", name, document | {"EndpointName": name, "EndpointStatus": status})
    local.aws.close()
    again = Local(open_local(local.aws.root), local.account)
    try:
        resume(again.aws)
        assert again.settled("new")["EndpointStatus"] == "InService"
        assert again.invoke(endpoint="new")[0] == b"a:"
        eventually(lambda: len(again.do("ListEndpoints")["Endpoints"]) == 2, "the deleted one is gone")
        assert again.invoke()[0] == b"a:"
    finally:
        again.aws.close()


def test_an_endpoint_whose_artifact_is_gone_at_the_restart_fails_with_the_reason(local: Local) -> None:
    local.serving("a")
    local.aws.close()
    bucket = f"models-{local.account}"
    from moto.backends import get_backend

    get_backend("s3")[local.account]["aws"].delete_object(bucket, "a.tar.gz")
    again = Local(open_local(local.aws.root), local.account)
    try:
        resume(again.aws)
        with pytest.raises(ApiError, match="is not in service: its status is Failed"):
            again.invoke()
        assert "Failed to download model data" in again.settled()["FailureReason"]
    finally:
        again.aws.close()


def test_a_killed_server_leaves_no_worker_behind(tmp_path: Path) -> None:
    program = """
        import sys, time
        import common.local.hosting.fleet as fleet
        from tests.functional.local.hosting_kit import Local, fake_program, open_local
        from pathlib import Path
        fleet.program = fake_program
        local = Local(open_local(Path(sys.argv[1])))
        local.serving("a")
        print(local.process_ids()[0], flush=True)
        time.sleep(60)
    """
    here = Path(__file__).parent
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{here.parents[2]}"},
    )
    with server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        assert is_running(worker)
        server.send_signal(signal.SIGKILL)
    eventually(lambda: not is_running(worker), "the worker ends with its server")
