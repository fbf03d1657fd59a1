"""Recording requests and answers of an endpoint, as `deploy.py` declares it, and in SageMaker's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UsageError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import DataCaptureConfigTypeDef


@dataclass(frozen=True)
class Capture:
    """SageMaker records a sample of the calls, each with its request and its answer, below `<model>/capture` in the bucket.

    Attributes:
        percent: the share of calls that is recorded.
    """

    percent: int

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise UsageError(f"Capturing {self.percent} % of the calls is not possible.", "Declare 0 to 100 percent.")

    def request(self, uri: str) -> DataCaptureConfigTypeDef:
        """SageMaker's form. Bodies of the types named here are recorded as text; it would record all others as base64."""
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": self.percent,
            "DestinationS3Uri": uri,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        }
