"""What runs now and costs money by the hour: instances of endpoints and of running jobs, by the listed prices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.deployment.live import describe_endpoint
from common.operations.belongings import Job, listed_jobs, owned
from common.report.cost import find_price
from common.steps.context import Context
from common.tables import text_table

HOURS_OF_A_MONTH = 730
"""365 days of 24 hours, by 12: as AWS's calculator has it."""
HEADER = ("model", "what", "instances", "US$ an hour", "US$ a month", "note")


@dataclass(frozen=True)
class Running:
    """Instances of one type that run for one thing.

    Attributes:
        what: the endpoint's variant, or the job.
        use: as in AWS's usage types: `Host`, `Train`, `Processing`, `Tsform`.
        instance_type: empty where there are no instances: serverless.
        note: what the price does not tell.
    """

    model: str
    what: str
    use: str
    instance_type: str
    count: int
    note: str = ""

    def by_hour(self, region: str) -> float | None:
        """US dollars; None where the table lists no price."""
        if self.count == 0 or not self.instance_type:
            return 0.0
        price = find_price(region, self.instance_type, self.use)
        return None if price is None else price.usd_per_hour * self.count


def show_cost(context: Context, names: Collection[str]) -> None:
    """Print what runs of these models, or of all that this project created, with its price by hour and month."""
    region = context.aws.settings.region
    running = sorted(what_runs(context.aws, names), key=lambda each: (each.model, each.what))
    if not running:
        context.say("Nothing runs that costs money by the hour.")
        return
    context.say(text_table(HEADER, [cost_row(each, region) for each in running]))
    context.say(total_cost(running, region))


def what_runs(aws: Aws, names: Collection[str] = ()) -> Iterator[Running]:
    """Everything that is tagged as a model's; of these models only where any are named."""
    for endpoint, model in owned(aws, "list_endpoints", "Endpoints", "Endpoint"):
        description = describe_endpoint(aws, endpoint)
        if description and _asked(model, names):
            yield from _of_endpoint(aws, endpoint, model, description)
    for job, model in listed_jobs(aws):
        if job.kind != "tuning" and _asked(model, names):  # a tuning job runs as its training jobs
            yield _of_job(aws, job, model)


def _asked(model: str, names: Collection[str]) -> bool:
    return bool(model) and (not names or model in names)


def _of_endpoint(aws: Aws, endpoint: str, model: str, description: Mapping[str, Any]) -> Iterator[Running]:
    """Each variant of the fleet that serves and, in the course of an update, of the one that comes: both are paid for."""
    for fleet in (description, description.get("PendingDeploymentSummary", {})):
        variants = [*fleet.get("ProductionVariants", []), *fleet.get("ShadowProductionVariants", [])]
        declared = _declared(aws, fleet["EndpointConfigName"]) if variants else {}
        for variant in variants:
            what = f"endpoint {endpoint}, {fleet['EndpointConfigName']}/{variant['VariantName']}"
            yield _of_variant(model, what, variant, declared.get(variant["VariantName"]))


def _of_variant(model: str, what: str, variant: Mapping[str, Any], declared: Mapping[str, Any] | None) -> Running:
    if declared is None:
        count = variant.get("CurrentInstanceCount", 0)
        return Running(model, what, "Host", "?", count, "its configuration was deleted: nobody knows the instance type")
    if serverless := declared.get("ServerlessConfig"):
        kept = serverless.get("ProvisionedConcurrency", 0)
        note = "serverless: paid by request" + (f", and {kept} kept loaded, whose price is not listed" if kept else "")
        return Running(model, what, "Host", "", 0, note)
    count = variant.get("CurrentInstanceCount", 0)
    return Running(model, what, "Host", declared["InstanceType"], count, "" if count else "scaled to zero: nothing now")


def _declared(aws: Aws, configuration: str) -> dict[str, Mapping[str, Any]]:
    """The variants of an endpoint configuration by name; none where somebody has deleted it by hand."""
    try:
        found = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    except ClientError as error:
        if is_missing(error):
            return {}
        raise
    variants: Iterable[Any] = [*found["ProductionVariants"], *found.get("ShadowProductionVariants", [])]
    return {variant["VariantName"]: variant for variant in variants}


def _of_job(aws: Aws, job: Job, model: str) -> Running:
    resources: Any
    if job.kind == "training":
        resources = aws.sagemaker.describe_training_job(TrainingJobName=job.name)["ResourceConfig"]
        use = "Train"
    elif job.kind == "transform":
        resources = aws.sagemaker.describe_transform_job(TransformJobName=job.name)["TransformResources"]
        use = "Tsform"
    else:
        found = aws.sagemaker.describe_processing_job(ProcessingJobName=job.name)
        resources, use = found["ProcessingResources"]["ClusterConfig"], "Processing"
    return Running(
        model, f"{job.kind} job {job.name}", use, resources["InstanceType"], resources["InstanceCount"], "until it ends"
    )


def cost_row(running: Running, region: str) -> list[str]:
    """What runs and what it costs, in the columns of `HEADER`."""
    price = running.by_hour(region)
    instances = f"{running.count} × {running.instance_type}" if running.instance_type else "–"
    unknown = f"no {running.use} price of {running.instance_type} in {region} is listed"
    notes = [running.note, unknown if price is None else ""]
    figures = ["?", "?"] if price is None else [f"{price:.3f}", f"{price * HOURS_OF_A_MONTH:,.2f}"]
    return [running.model, running.what, instances, *figures, "; ".join(filter(None, notes))]


def total_cost(running: Collection[Running], region: str) -> str:
    """What all of it costs together, and what that leaves out."""
    prices = [each.by_hour(region) for each in running]
    known, unknown = sum(price for price in prices if price is not None), prices.count(None)
    least = " at least" if unknown else ""
    said = (
        f"Together{least} US$ {known:.3f} an hour, {known * HOURS_OF_A_MONTH:,.2f} a month of {HOURS_OF_A_MONTH} hours"
    )
    missing = (
        f"; {unknown} of {len(prices)} have no listed price and are not in it (common/report/prices.csv)"
        if unknown
        else ""
    )
    return f"{said}{missing}. On demand, without storage, transfer, requests and discounts."
