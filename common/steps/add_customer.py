"""A new customer of a fleet that serves: its model is fitted, written beside the others, and answers, with no deployment."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from common.aws import says
from common.data.extract import Readings
from common.data.sources import LocalFile
from common.deployment.fleet import SUFFIX, answered_offline, code_of, note_key
from common.deployment.live import observe
from common.deployment.plan import CHANGING
from common.errors import CheckoutError, DataError, DeploymentError
from common.evaluation.golden import FleetGolden
from common.forecasting import Unfit
from common.forecasting.artifacts import unpack_model
from common.forecasting.checks import ID, Limits, clean_customer
from common.forecasting.fit import fit_series
from common.forecasting.handlers import answer
from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.forecast import Day, forecast_customer, no_id
from common.steps.gather_series import customer_readings
from common.storage import split_uri
from common.training.fleet import Fleet

_PROOF = {"period": 7}


def add_customer(
    context: Context, model: Model, data: Readings, fleet: Fleet, customer: str, file: Path | None = None
) -> list[Day]:
    """Fit a model of the customer as the serving fleet was, serve it, and answer the forecast that the endpoint gives.

    The next fleet has the customer by itself where the source of all readings has it. Adding the same readings again finds
    the work done.

    Args:
        file: a CSV file with the customer's readings, in the columns that `data` declares; by default they are asked for
            where those of all customers come from.

    Raises:
        UsageError: the id can name no customer.
        CheckoutError: the checkout would fit another model than those that serve.
        DataError: there are no readings of the customer, they cannot be trusted, or it is served already.
        DeploymentError: no fleet serves, it is being replaced, or the endpoint does not answer as the model does.
    """
    if not ID.fullmatch(customer):
        raise no_id(customer)
    package = _serving(context, model)
    if file:
        data = replace(data, source=LocalFile(file))
    readings = customer_readings(context, model, data, customer)
    limits = Limits(at_least=data.at_least, at_most=data.at_most, ceiling=time.time() / 86_400)
    series = clean_customer(customer, [row[1] for row in readings], [row[2] for row in readings], limits)
    if isinstance(series, Unfit):
        raise _unfit(customer, series.reason)
    fitted = fit_series(fleet.forecaster, [series], fleet.holdout_days)
    if customer not in fitted.models:
        raise _unfit(customer, fitted.results["set_aside"][customer])
    archive, facts = fitted.models[customer], fitted.results["customers"][customer]
    expected = FleetGolden({customer: {"answer": answer(fleet.forecaster, unpack_model(archive), _PROOF["period"])}})
    offline = answered_offline(code_of(context.aws, package), {customer: archive}, {customer: _PROOF})
    if problem := expected.mismatch(customer, offline[customer]):
        raise DeploymentError(
            f"The code that serves does not answer as the new model does: {problem}.",
            "Nothing was written. Train and deploy the fleet anew: this checkout fits other models than those that serve.",
        )
    _write(context, package, customer, archive, facts | {"source": data.source.description})
    context.say(
        f"{model.name}: customer {customer} is fitted on {facts['rows']:,} readings from {facts['first']} to {facts['last']}"
        f"{_score(facts)}, and lies beside the others of version {package.version}"
    )
    forecast = forecast_customer(context, model, customer, _PROOF)
    if problem := expected.mismatch(customer, forecast):
        raise DeploymentError(
            f"The endpoint does not answer as the new model does: {problem}.",
            "Does another fleet serve by now? `./models status` says; then add the customer again.",
        )
    return forecast


def _unfit(customer: str, reason: str) -> DataError:
    return DataError(f"Customer {customer} gets no model: {reason}.", "Correct its readings, then add it again.")


def _serving(context: Context, model: Model) -> Package:
    """The package of the fleet that serves, which has to be that of this checkout."""
    live = observe(context.aws, model)
    package = context.registry(model).serving(live.package_arn)
    if package is None or not package.fleet:
        raise DeploymentError(
            f"No fleet of {model.name} serves, to which a customer could be added.",
            f"`models deploy {model.name}` first.",
        )
    if live.status in CHANGING:  # the fleet that it leads to would not have the customer
        raise DeploymentError(
            f"The endpoint {model.name} is {live.status}.", "Nothing was written. Add the customer when that has ended."
        )
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    if package.source != source:
        raise CheckoutError(
            f"Version {package.version} serves, which was trained from source {package.source}; this checkout's is {source}, "
            "and its code would fit another model.",
            f"Check out the commit of that version ({package.metadata.get('commit', 'unknown')[:8]}), or deploy this one first.",
        )
    return package


def _write(context: Context, package: Package, customer: str, archive: bytes, facts: dict[str, Any]) -> None:
    """Put the model into the fleet's prefix, never over another; then note who added it, and from which readings."""
    bucket, prefix = context.bucket, split_uri(package.fleet)[1]
    key = f"{prefix}{customer}{SUFFIX}"
    try:
        # S3 itself refuses to overwrite, also where two add the customer at the same moment.
        context.aws.s3.put_object(Bucket=bucket.of(key), Key=key, Body=archive, IfNoneMatch="*")
    except ClientError as error:
        if not says(error, "PreconditionFailed", "ConditionalRequestConflict"):
            raise
        if bucket.read(key) != archive:
            raise DataError(
                f"Customer {customer} is served already, by another model.",
                "Its model is made anew with the next fleet; what serves is never overwritten, since endpoints keep "
                "what they have loaded.",
            ) from error
    note = {
        "customer": customer,
        "added_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "added_by": context.run.user,
        "added_in": context.run.url,
        "commit": context.checkout.commit(),
        **{name: facts[name] for name in ("digest", "bytes", "rows", "first", "last", "holdout", "source")},
    }
    bucket.write_json(note_key(package, customer), note)


def _score(facts: dict[str, Any]) -> str:
    holdout = facts["holdout"]
    return f" (mean absolute error of the last {holdout['n']} readings: {holdout['mae']:.4g})" if holdout else ""
