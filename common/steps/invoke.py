"""Invoke: raw records in, predictions of the endpoint out."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.aws import error_code, is_missing
from common.errors import DeploymentError, UsageError
from common.model import Model
from common.steps.context import Context

if TYPE_CHECKING:
    import pandas as pd

    from common.data.dataset import Dataset


def read_records(text: str) -> pd.DataFrame:
    """Records from JSON (one object or a list of them) or, as `@file.csv`, from a CSV file with a header.

    Raises:
        UsageError: the text is neither, or the file cannot be read.
    """
    import pandas as pd

    if text.startswith("@"):
        try:
            return pd.read_csv(io.BytesIO(Path(text[1:]).read_bytes()), dtype=str)
        except (OSError, ValueError) as error:
            raise UsageError(f"{text[1:]} cannot be read: {error}", "Name a CSV file with a header.") from error
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"The records are not JSON: {error}", 'Write {"column": value, …}, a list of such, or @FILE.csv.'
        ) from error
    records = parsed if isinstance(parsed, list) else [parsed]
    if not records or not all(isinstance(record, dict) for record in records):
        raise UsageError("The records are no JSON objects.", 'Write {"column": value, …} or a list of such.')
    return pd.DataFrame([{name: str(value) for name, value in record.items()} for record in records])


def invoke_model(context: Context, model: Model, dataset: Dataset, records: pd.DataFrame) -> list[float]:
    """The endpoint's prediction for each record, in the unit of the model's target.

    Raises:
        DataError: the records are not what the model's columns declare.
        DeploymentError: there is no endpoint, or the model answers with an error.
    """
    from common.data.dataset import to_csv

    body = to_csv(dataset.encode(records))
    try:
        answer = context.aws.runtime.invoke_endpoint(
            EndpointName=model.name, ContentType="text/csv", Accept="text/csv", Body=body
        )
    except ClientError as error:
        if is_missing(error):
            raise DeploymentError(
                f"There is no endpoint {model.name} in this account and region.",
                f"`models deploy {model.name}` makes it.",
            ) from error
        if error_code(error) == "ModelError":
            raise DeploymentError(
                f"The model answers with an error: {error.response['Error']['Message']}",
                f"The endpoint's log is in CloudWatch, /aws/sagemaker/Endpoints/{model.name}.",
            ) from error
        raise
    return [float(value) for value in answer["Body"].read().decode().replace("\n", ",").split(",") if value.strip()]
