"""`models shadow` and `models ab`: a new package beside the one that serves, on live traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import UsageError
from common.model import Model, find_model
from common.steps import failures_explained

if TYPE_CHECKING:
    from common.deployment.modes import DeclaredEndpoint
    from common.experiments.report import Report
    from common.steps.context import Context

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. abalone.", show_default=False)]
Page = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Also write the findings as FILE.html.")]


def shadow(
    name: Name,
    version: Annotated[
        int, typer.Option(help="Begin with this version; by default main's approved one.", show_default=False)
    ] = 0,
    percent: Annotated[int, typer.Option(help="Begin with copies of this share of the requests.")] = 100,
    promote: Annotated[bool, typer.Option("--promote", help="Deploy the shadow's version, and end the test.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the test.")] = False,
    report: Page = None,
) -> None:
    """Try a package on copies of live traffic.

    Nobody sees its answers. Without options it begins with main's approved version, or says what the running test has
    found: by the ground truth where that is in the bucket, otherwise by the predictions alone. Begin from main; the version
    may be any that is not rejected. While a test runs, deploys from main are refused.

    \b
    Examples:
      models shadow abalone --version 7      version 7 gets a copy of each request
      models shadow abalone                  how does it do?
      models shadow abalone --report shadow.html
      models shadow abalone --promote        an ordinary deploy, if version 7 is approved
      models shadow abalone --stop           or back to what served before
    """
    with failures_explained():
        from common.steps import experiments as step

        _require_one("shadow", bool(version), promote, stop, report is not None)
        model, context = find_model(name), _context()
        endpoint = _endpoint(context, model)
        if promote:
            step.promote_shadow(context, model, endpoint)
        elif stop:
            step.stop_experiment(context, model, endpoint, "shadow")
        elif report or (not version and step.is_running(context, model, "shadow")):
            _show(step.shadow_findings(context, model, endpoint), report)
        else:
            step.start_shadow(context, model, endpoint, version, percent)


def ab(
    name: Name,
    versions: Annotated[
        str, typer.Option(metavar="N,N", help="Begin with these approved versions, e.g. 3,5.", show_default=False)
    ] = "",
    weights: Annotated[
        str, typer.Option(metavar="W,W", help="Their shares of the callers; equal by default.", show_default=False)
    ] = "",
    conclude: Annotated[
        str,
        typer.Option(metavar="winner|N", help="Let the winner, or version N, alone answer.", show_default=False),
    ] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Return to what served before.")] = False,
    report: Page = None,
) -> None:
    """Let approved packages answer side by side.

    Find out which is better. Without options: what the running test has found. It needs the ground truth of answered
    requests in the bucket (docs/experiments.md). The figures stay valid however often you look, and whenever you stop.
    A caller's key keeps its version: `models invoke NAME … --key customer-17`.

    \b
    Examples:
      models ab abalone --versions 3,5 --weights 90,10
      models ab abalone                      who is better, and how sure is that?
      models ab abalone --conclude winner    refused while there is none
      models ab abalone --conclude 3         keep version 3, whatever the figures say
      models ab abalone --stop
    """
    with failures_explained():
        from common.steps import experiments as step

        _require_one("ab", bool(versions), bool(conclude), stop, report is not None)
        if weights and not versions:
            raise UsageError("--weights goes with --versions.", "E.g. --versions 3,5 --weights 90,10.")
        numbers, shares = list(map(int, _numbers(versions))), _numbers(weights)
        model, context = find_model(name), _context()
        endpoint = _endpoint(context, model)
        if versions:
            step.start_ab(context, model, endpoint, numbers, shares)
        elif conclude:
            step.conclude_ab(context, model, endpoint, conclude)
        elif stop:
            step.stop_experiment(context, model, endpoint, "ab")
        else:
            _show(step.ab_findings(context, model, endpoint), report)


def _endpoint(context: Context, model: Model) -> DeclaredEndpoint:
    from common.deployment.shared.declare import SharedEndpoint

    endpoint = context.endpoint(model)
    if isinstance(endpoint, SharedEndpoint):
        raise UsageError(
            f"{model.name} is served by the shared endpoint {endpoint.name}, and SageMaker offers no experiment there.",
            "It does for a single model behind an `Endpoint` in real time.",
        )
    return endpoint


def _require_one(command: str, *chosen: bool) -> None:
    """Refuse options that ask for two things at once."""
    if sum(chosen) > 1:
        raise UsageError(
            "These options ask for several things at once.", f"`models {command} --help` shows one of each."
        )


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UsageError(f"'{text}' is no list of numbers.", "Write them with commas: 3,5.") from error


def _show(findings: Report, page: Path | None) -> None:
    from common.steps.experiments import write_report

    typer.echo(findings.text())
    if page:
        write_report(findings, page)


def _context() -> Context:
    from common.steps.context import Context

    return Context.from_environment()
