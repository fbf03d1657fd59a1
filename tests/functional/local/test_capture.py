"""Data capture: requests and answers as Model Monitor's JSON lines in S3."""

import base64
import re
from typing import Any

import pytest

from common.local.api import ApiError
from common.local.hosting.host import Hosting
from tests.functional.local.hosting_kit import REGION, Local, constant_load, eventually, open_local


def capture(local: Local, **members: Any) -> dict[str, Any]:
    """A DataCaptureConfig of everything to the account's bucket."""
    return {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://models-{local.account}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        **members,
    }


def serving(local: Local, name: str = "a", **members: Any) -> None:
    local.model(name, content_type="text/csv; charset=utf-8")
    local.config(name, DataCaptureConfig=capture(local, **members))
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=name)
    assert local.settled()["EndpointStatus"] == "InService"


def flush(local: Local) -> None:
    local.aws.part(Hosting).capture.flush()


def test_requests_and_answers_are_lines_of_a_file_of_their_hour(local: Local) -> None:
    serving(local)
    local.invoke(b'{"x": "\xc3\xa9"}', ContentType="application/json", InferenceId="order-7")
    eventually(local.captured, "the capture is written by itself")
    [line] = local.captured()
    assert line["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": '{"x": "é"}',
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": 'a:{"x": "é"}',
            "encoding": "CSV",
        },
    }
    metadata = line["eventMetadata"]
    assert metadata["inferenceId"] == "order-7"
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["eventId"])
    hour = metadata["inferenceTime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", hour)
    [(key, _)] = local.aws.services.list_objects(local.account, f"models-{local.account}", "capture/")
    folder = f"capture/e/v1/{hour[:4]}/{hour[5:7]}/{hour[8:10]}/{hour[11:13]}/"
    assert re.fullmatch(re.escape(folder) + r"\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl", key)


def test_other_types_and_what_is_no_text_are_in_base64(local: Local) -> None:
    serving(local)
    for body, kind in ((b"\xff", "application/json"), (b"1", "application/x-npy"), (b"2", None)):
        local.invoke(body, **({"ContentType": kind} if kind else {}))
    flush(local)
    inputs = [line["captureData"]["endpointInput"] for line in local.captured()]
    assert [base64.b64decode(each["data"]) for each in inputs] == [b"\xff", b"1", b"2"]
    assert {each["encoding"] for each in inputs} == {"BASE64"}
    assert inputs[2]["observedContentType"] == "application/octet-stream"


def test_only_the_chosen_side_and_share_are_captured_and_errors_never(local: Local) -> None:
    serving(local, InitialSamplingPercentage=30, CaptureOptions=[{"CaptureMode": "Output"}])
    for number in range(200):
        local.invoke(b"1")
        if number % 10 == 0:
            with pytest.raises(ApiError):
                local.invoke(b"bad")
    flush(local)
    lines = local.captured()
    assert 27 < len(lines) < 93  # 60 ± 5 standard deviations
    assert {tuple(line["captureData"]) for line in lines} == {("endpointOutput",)}
    assert {line["captureData"]["endpointOutput"]["data"] for line in lines} == {"a:1"}


def test_an_update_and_a_deletion_write_what_waits(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.local.hosting.capture.AGE_SECONDS", 600)
    serving(local)
    local.model("b")
    with constant_load(local) as load:
        eventually(lambda: len(load.answers) > 20, "there is traffic")
        local.update(local.config("b", DataCaptureConfig=capture(local, EnableCapture=False)))
        assert local.settled()["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
    assert load.errors == []
    assert len(local.captured()) == load.counts()["a"]
    captured = len(local.captured())
    local.update("a")
    local.settled()
    local.invoke(b"1")
    assert len(local.captured()) == captured
    local.do("DeleteEndpoint", EndpointName="e")
    eventually(lambda: local.aws.store.get(local.scope, "endpoint", "e") is None, "deleted")
    assert len(local.captured()) == captured + 1


def test_it_goes_on_over_a_restart_and_is_kept_where_an_update_retains_it(local: Local) -> None:
    serving(local, EnableCapture=True, InitialSamplingPercentage=100)
    local.aws.close()
    local.aws = open_local(local.aws.root)
    from common.local.sagemaker.endpoints import resume

    resume(local.aws)
    local.invoke(b"1")
    local.model("b")
    local.update(local.config("b"), RetainAllVariantProperties=True)
    assert local.settled()["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://models-{local.account}/capture",
        "KmsKeyId": "",
    }
    local.invoke(b"2")
    flush(local)
    outputs = [line["captureData"]["endpointOutput"]["data"] for line in local.captured()]
    assert sorted(outputs) == ["a:1", "b:2"]


def test_a_destination_that_cannot_be_written_fails_no_request_and_is_in_the_log(local: Local) -> None:
    serving(local, DestinationS3Uri="s3://nowhere/capture")
    assert local.invoke(b"1")[0] == b"a:1"
    flush(local)
    local.aws.part(Hosting).telemetry.flush()
    assert "1 captured requests are lost: there is no bucket nowhere" in log(local)


def test_a_destination_that_is_no_s3_uri_is_refused(local: Local) -> None:
    local.model("a")
    local.config("a", DataCaptureConfig=capture(local, DestinationS3Uri="https://s3/b/capture"))
    with pytest.raises(ApiError, match="must be an S3 URI"):
        local.do("CreateEndpoint", EndpointName="e", EndpointConfigName="a")


def test_a_shadows_answers_are_joined_to_productions_by_the_callers_inference_id(local: Local) -> None:
    local.model("a")
    local.model("b")
    local.shadowed("ab", "a", "b", DataCaptureConfig=capture(local))
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName="ab")
    local.settled()
    for number in range(10):
        local.invoke(str(number).encode(), InferenceId=f"i-{number}")
    eventually(lambda: len(local.values("Invocations", "s")) == 10, "all requests are copied")
    flush(local)
    answers = {variant: by_inference_id(local.captured(variant)) for variant in ("v1", "s")}
    pairs = {key: (answers["v1"][key], answers["s"][key]) for key in answers["v1"]}
    assert pairs == {f"i-{number}": (f"a:{number}", f"b:{number}") for number in range(10)}
    events = [line["eventMetadata"]["eventId"] for variant in ("v1", "s") for line in local.captured(variant)]
    assert len(set(events)) == 20


def by_inference_id(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {
        line["eventMetadata"]["inferenceId"]: base64.b64decode(line["captureData"]["endpointOutput"]["data"]).decode()
        if line["captureData"]["endpointOutput"]["encoding"] == "BASE64"
        else line["captureData"]["endpointOutput"]["data"]
        for line in lines
    }


def log(local: Local) -> str:
    from moto.backends import get_backend

    logs: Any = get_backend("logs")[local.account][REGION]
    streams = logs.groups["/aws/sagemaker/Endpoints/e"].streams
    return "\n".join(event.message for stream in streams.values() for event in stream.events)
