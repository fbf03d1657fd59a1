"""Invoke: raw records in, predictions of the endpoint out."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from common.aws import error_code, is_missing, says
from common.deployment.asynchronous import ask
from common.deployment.declare import Endpoint
from common.deployment.fleet import ask_customer
from common.deployment.modes import AsyncEndpoint
from common.deployment.shared.declare import SharedEndpoint
from common.errors import DataError, DeploymentError, UsageError
from common.experiments.assignment import assigned_variant, new_inference_id
from common.model import Model
from common.steps.context import Context
from common.steps.live import endpoint_name

Record = dict[str, Any]
_REQUEST_BYTES = 6 * 1024**2
_TOO_MANY = "Send fewer records at once, or score them as a batch: docs/batch.md."
_FILE_CHARACTERS = 16 * 1024**2
"""Of a CSV file. What an asynchronous endpoint is asked may be longer than a request, and all of it is held in memory."""


def read_records(text: str) -> list[Record]:
    """Records from JSON (one object or a list of them) or, as `@file.csv`, from a CSV file with a header.

    Raises:
        UsageError: the text is neither, or the file cannot be read.
    """
    if text.startswith("@"):
        try:
            with Path(text[1:]).open(encoding="utf-8-sig", newline="") as file:
                content = file.read(_FILE_CHARACTERS + 1)
            if len(content) > _FILE_CHARACTERS:
                raise UsageError(f"{text[1:]} has more than {_FILE_CHARACTERS:,} characters.", _TOO_MANY)
            reader = csv.DictReader(StringIO(content, newline=""), skipinitialspace=True, strict=True)
            records: list[Record] = list(reader)
        except (OSError, ValueError, csv.Error) as error:
            raise UsageError(f"{text[1:]} cannot be read: {error}", "Name a CSV file with a header.") from error
    else:
        try:
            parsed = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UsageError(
                f"The records are not JSON: {error}", 'Write {"column": value, …}, a list of such, or @FILE.csv.'
            ) from error
        records = parsed if isinstance(parsed, list) else [parsed]
    if not records or not all(isinstance(record, dict) and None not in record for record in records):
        raise UsageError("These are no records.", 'Write {"column": value, …} or a list of such, or @FILE.csv.')
    return records


def invoke_model(context: Context, model: Model, records: list[Record], key: str = "") -> list[Record]:
    """The endpoint's answer to each record: `prediction`, or `probability` and `label`.

    Args:
        key: who asks. In an A/B test the same variant answers it always, and its outcomes count together.

    Raises:
        DataError: the records are not what the model's columns declare.
        DeploymentError: there is no endpoint, or the model answers with an error.
        UsageError: a key for an endpoint that has no variants to choose from.
    """
    endpoint = context.endpoint(model)
    if key and not isinstance(endpoint, Endpoint):
        raise UsageError(
            f"{model.name} is declared as {type(endpoint).__name__}: no key chooses a version there.",
            "Leave out --key.",
        )
    try:
        if isinstance(endpoint, SharedEndpoint):
            shared: list[Record] = ask_customer(context.aws, endpoint.name, model.name, records)["predictions"]
            return shared
        if isinstance(endpoint, AsyncEndpoint):
            return _asked_async(context, model, records)
        answer = context.aws.runtime.invoke_endpoint(
            EndpointName=model.name,
            ContentType="application/json",
            Accept="application/json",
            Body=_request(records),
            **(_for_key(context, model, key) if key else {}),
        )
    except ClientError as error:
        if is_missing(error):
            raise no_endpoint(model, endpoint_name(context, model)) from error
        if says(error, "Failed to download model data"):
            raise DeploymentError(
                f"The endpoint {endpoint_name(context, model)} does not serve {model.name}.",
                f"`models deploy {model.name}` adds it.",
            ) from error
        if error_code(error) == "ModelError":
            raise answered_with_error(
                context, model, error.response, f"{model.folder}/gather_data.py declares what a record holds."
            ) from error
        raise
    found: list[Record] = json.loads(answer["Body"].read())["predictions"]
    return found


def _request(records: list[Record]) -> bytes:
    body = json.dumps(records).encode()
    if len(body) > _REQUEST_BYTES:
        raise UsageError(
            f"{len(records):,} records make a request of {len(body):,} bytes; SageMaker takes {_REQUEST_BYTES:,}.",
            _TOO_MANY,
        )
    return body


def _asked_async(context: Context, model: Model, records: list[Record]) -> list[Record]:
    answer = ask(context.aws, model.name, uuid4().hex, json.dumps(records).encode())
    if answer.failed:
        raise DeploymentError(
            f"The model failed: {answer.reason[:500]}",
            f"This is {answer.location}. The endpoint's log is in CloudWatch, /aws/sagemaker/Endpoints/{model.name}; "
            f"{model.folder}/gather_data.py declares what a record holds.",
        )
    context.say(f"the answer is {answer.location}")
    found: list[Record] = json.loads(answer.body)["predictions"]
    return found


def _for_key(context: Context, model: Model, key: str) -> dict[str, str]:
    """What a request of this key names: itself, and where several variants answer, the one that is the key's."""
    described = context.aws.sagemaker.describe_endpoint(EndpointName=model.name).get("ProductionVariants", [])
    weights = {each["VariantName"]: each.get("CurrentWeight", 1.0) for each in described}
    request = {"InferenceId": new_inference_id(key)}
    return request | ({"TargetVariant": assigned_variant(key, weights)} if len(weights) > 1 else {})


def no_endpoint(model: Model, name: str) -> DeploymentError:
    return DeploymentError(
        f"There is no endpoint {name} in this account and region.",
        f"`models deploy {model.name}` makes it.",
    )


def answered_with_error(context: Context, model: Model, response: Any, remedy: str) -> DataError | DeploymentError:
    """Whose fault it is, by the status that the model answered with.

    Args:
        remedy: what a caller can do whose request was refused.
    """
    message = str(response.get("OriginalMessage") or response["Error"]["Message"])
    if response.get("OriginalStatusCode") == 400:
        return DataError(f"The model cannot answer: {_told(message)}.", remedy)
    return DeploymentError(
        f"The model answers with an error: {message}",
        f"The endpoint's log is in CloudWatch, /aws/sagemaker/Endpoints/{endpoint_name(context, model)}.",
    )


def _told(message: str) -> str:
    """The sentence in a model's refusal: a JSON document of this project's own server, or the first line above a traceback."""
    try:
        return str(json.loads(message)["error"])
    except (ValueError, TypeError, KeyError):
        return message.partition("\n")[0].removesuffix(".")
