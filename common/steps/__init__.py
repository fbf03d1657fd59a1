"""The steps of a model's life as its folder runs them: `gather`, `train_and_register`, `deploy`.

A fleet of forecasting models has `gather_series` and `train_fleet` in the place of the first two.

Each is the whole of a script: it reads the command line and the environment, does its step, and on failure prints one
message and exits with 1 (2 when it was called wrongly).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from common.errors import ModelsError
from common.model import Model

if TYPE_CHECKING:
    from common.data.dataset import Dataset
    from common.data.extract import Readings
    from common.deployment.modes import DeclaredEndpoint
    from common.deployment.shared.declare import SharedEndpoint
    from common.training import XGBoost
    from common.training.fleet import Fleet


def gather(model: Model, dataset: Dataset) -> None:
    """Gather the model's data into the bucket."""
    parser = _parser(model, "Gather, check and split the data, and put them in the bucket.")
    _offer_refresh(parser)
    options = parser.parse_args()
    with failures_explained():
        from common.steps.context import Context
        from common.steps.gather import gather_data

        gather_data(Context.from_environment(), model, dataset, refresh=options.refresh)


def gather_series(model: Model, readings: Readings) -> None:
    """Gather the readings of a fleet's customers into the bucket."""
    parser = _parser(model, "Gather the readings, and put them in the bucket.")
    _offer_refresh(parser)
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write them into a folder, and not into the bucket")
    parser.add_argument("--customer", metavar="ID", help="with --to: of this customer only")
    options = parser.parse_args()
    if options.customer is not None and options.to is None:
        parser.error("--customer goes with --to: a data version has all customers")
    with failures_explained():
        from common.steps.context import Context
        from common.steps.gather_series import gather_readings, write_readings

        if options.to is not None:
            write_readings(model, readings, options.to, options.customer)
        else:
            gather_readings(Context.from_environment(), model, readings, refresh=options.refresh)


def _offer_refresh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--refresh", action="store_true", help="gather again although this source has gathered before")


def train_and_register(model: Model, training: XGBoost) -> None:
    """Train the model on the gathered data, evaluate it, and register its package."""
    parser = _parser(model, "Train on the gathered data, evaluate, and register the package for approval.")
    parser.add_argument(
        "--testing", action="store_true", help="try it out: a tuning runs one job only, and nothing is registered"
    )
    parser.add_argument(
        "--because", default="", metavar="WHY", help="train again what serves, on newer data: it has to be better there"
    )
    options = parser.parse_args()
    with failures_explained():
        from common.steps.announce import announce_waiting
        from common.steps.context import Context
        from common.steps.train import train_model

        context = Context.from_environment()
        package = train_model(context, model, training, testing=options.testing, because=options.because)
        announce_waiting(context, model, package)


def train_fleet(model: Model, fleet: Fleet) -> None:
    """Train a model for each customer on the gathered readings, evaluate the fleet, and register its package."""
    parser = _parser(model, "Train a model for each customer, evaluate the fleet, and register its package.")
    parser.add_argument("--testing", action="store_true", help="try it out: nothing is registered")
    options = parser.parse_args()
    with failures_explained():
        from common.steps.announce import announce_waiting
        from common.steps.context import Context
        from common.steps.train_fleet import train_fleet_model

        context = Context.from_environment()
        announce_waiting(context, model, train_fleet_model(context, model, fleet, testing=options.testing))


def deploy(
    model: Model,
    endpoint: DeclaredEndpoint | SharedEndpoint,
    overrides: Mapping[str, DeclaredEndpoint | SharedEndpoint] | None = None,
) -> None:
    """Deploy main's approved package.

    Args:
        overrides: what serves the model in environments of these names, in place of `endpoint`.
    """
    parser = _parser(model, "Make the endpoint serve the approved package of main's source.")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and change nothing")
    options = parser.parse_args()
    with failures_explained():
        from common.steps.context import Context, endpoint_in
        from common.steps.deploy import deploy_model

        context = Context.from_environment()
        deploy_model(context, model, endpoint_in(context, model, endpoint, overrides or {}), plan=options.plan)


def _explain_at_import(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, ModelsError):
        sys.stderr.write(f"Error: {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


# A model folder declares at import, before any function here runs: a wrong declaration is told without a traceback, too.
sys.excepthook = _explain_at_import


def _parser(model: Model, purpose: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=f"{model.name}: {purpose}")


@contextmanager
def failures_explained() -> Iterator[None]:
    """End the process with one clear message when what is inside fails in a way that a person can mend."""
    try:
        from common.aws import explained

        with explained():
            yield
    except ModelsError as error:
        _tell(error)
        fail(error)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. What was started on AWS goes on; the same command continues from there.\n")
        sys.exit(130)


def _tell(error: ModelsError) -> None:
    """Tell people of a job that fails in CircleCI; on a person's machine there is somebody who reads."""
    if os.environ.get("CIRCLECI") == "true":
        from common.steps.announce import announce_failure

        announce_failure(error)


def fail(error: ModelsError) -> None:
    """Print the error and exit with its code."""
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(error.exit_code)
