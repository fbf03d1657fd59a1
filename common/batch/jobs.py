"""The requests of a batch's three jobs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common.batch.code import JOIN, PREPARE
from common.batch.partitions import Task
from common.batch.progress import scorable
from common.model import Model
from common.settings import Settings
from common.training.image import image_uri
from common.training.processing import Input, Output, Script, processing_request

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef, CreateTransformJobRequestTypeDef

_IN, _OUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
_PAYLOAD_MB = 1
"""Of records that a model is sent at once: some thousand. More would not be scored faster, and take more memory."""
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Place:
    """Where the jobs of a partition work.

    Attributes:
        code: S3 URI of the code archive.
        input, work, output: S3 URIs of folders, with a slash at the end.
    """

    code: str
    input: str
    work: str
    output: str


def prepare_request(model: Model, settings: Settings, task: Task, place: Place) -> CreateProcessingJobRequestTypeDef:
    """The processing job that checks the records."""
    arguments = [f"--input={_IN}/records", f"--model={_IN}/model", f"--output={_OUT}/prepared"]
    arguments.append(f"--digest={task.package.metadata.get('artifact_digest', '')}")
    arguments += [f"--piece-bytes={task.batch.piece_mb * _MEGABYTE}", *(f"--key={key}" for key in task.batch.keys)]
    return processing_request(
        model,
        settings,
        image=image_uri(settings.region, "sklearn"),
        script=Script(place.code, PREPARE, arguments),
        inputs=[
            Input("records", place.input, f"{_IN}/records"),
            Input("model", task.package.artifact, f"{_IN}/model"),
        ],
        outputs=[Output("prepared", f"{_OUT}/prepared", f"{place.work}prepared")],
        cluster=task.batch.processing,
    )


def transform_request(
    model: Model, task: Task, place: Place, prepared: Mapping[str, Any], model_name: str
) -> CreateTransformJobRequestTypeDef:
    """The batch transform of what is left to do; each answer comes with the number of the line that it is for.

    The number is cut off before the model sees the record. SageMaker puts the answer behind what it was given, of which the
    output filter keeps the number: the form of AWS's own example for identifiers. It counts from both ends, so that it does
    not matter how SageMaker takes the cells between them apart, of which some are quoted.
    """
    batch, kept = task.batch, (0, *range(-len(prepared["answers"]), 0))
    return {
        "TransformJobName": "",
        "ModelName": model_name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": _PAYLOAD_MB,
        "MaxConcurrentTransforms": batch.requests_at_once,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place.work}prepared/todo/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"{place.work}answers", "Accept": "text/csv", "AssembleWith": "Line"},
        "DataProcessing": {
            "InputFilter": "$[1:]",
            "JoinSource": "Input",
            "OutputFilter": f"$[{','.join(map(str, kept))}]",
        },
        "TransformResources": {
            "InstanceType": cast("Any", batch.instance_type),  # AWS knows more types than the stubs do
            "InstanceCount": batch.instance_count,
        },
        "Tags": [{"Key": "model", "Value": model.name}],
    }


def join_request(
    model: Model, settings: Settings, task: Task, place: Place, prepared: Mapping[str, Any]
) -> CreateProcessingJobRequestTypeDef:
    """The processing job that writes records and predictions as rows."""
    folders = {"prepared": f"{place.work}prepared/prepared.json"}
    if scorable(prepared):  # SageMaker refuses an input that holds nothing
        folders |= {"records": f"{place.work}prepared/records/", "answers": f"{place.work}answers/"}
    if prepared["rejected"]:
        folders["rejected"] = f"{place.work}prepared/rejected/"
    arguments = [*(f"--{name}={_IN}/{name}" for name in folders), f"--output={_OUT}/rows", f"--report={_OUT}/report"]
    arguments += [f"--version={task.package.version}", f"--format={task.batch.format}"]
    return processing_request(
        model,
        settings,
        image=image_uri(settings.region, "sklearn"),
        script=Script(place.code, JOIN, arguments),
        inputs=[Input(name, uri, f"{_IN}/{name}") for name, uri in folders.items()],
        outputs=[
            Output("rows", f"{_OUT}/rows", place.output.rstrip("/")),
            Output("report", f"{_OUT}/report", f"{place.work}report"),
        ],
        cluster=task.batch.processing,
    )
