"""What was found in a window as metrics of CloudWatch, so that an alarm or a dashboard of one's own can go by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from common.aws import Aws
from common.monitoring.looked import Looked
from common.monitoring.report import drifted_columns, smallest_q

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.literals import StandardUnitType
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

NAMESPACE = "Models/Monitoring"
"""Each metric has one dimension, `Model`, the model's name."""
_OLDEST = timedelta(days=14)
"""CloudWatch takes no older data."""


def metrics(looked: Looked) -> dict[str, tuple[float, StandardUnitType]]:
    """(value, unit) of each metric, by its name; what is not known of the window is left out."""
    findings = looked.findings
    found: dict[str, tuple[float, StandardUnitType]] = {
        "Rows": (looked.rows, "Count"),
        "DriftedColumns": (len(drifted_columns(findings)), "Count"),
    }
    if (smallest := smallest_q(findings)) is not None:
        found["SmallestQ"] = (smallest, "None")
    if quality := findings.quality:
        found["Quality"] = (quality.metrics[quality.metric].now.value, "None")
        found["Outcomes"] = (quality.outcomes, "Count")
    return found


def put_metrics(aws: Aws, model: str, looked: Looked) -> bool:
    """Put them at the end of the window; False where that is too long ago for CloudWatch."""
    ends = datetime.fromisoformat(looked.ends)
    if ends < datetime.now(UTC) - _OLDEST:
        return False
    data: list[MetricDatumTypeDef] = [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "Model", "Value": model}],
            "Timestamp": ends,
            "Value": value,
            "Unit": unit,
        }
        for name, (value, unit) in metrics(looked).items()
    ]
    aws.cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
    return True
