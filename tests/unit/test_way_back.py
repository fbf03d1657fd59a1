"""Which package a rollback goes back to, and what counts as held: pure functions of registry and endpoint."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deployment.hold import Hold
from common.deployment.live import Live
from common.errors import DeploymentError
from common.operations.rollback import way_back
from common.registry import APPROVED, REJECTED, Package
from common.steps.status import why_held


def package(version: int, *, status: str = APPROVED, day: int = 0, back_on: int = 0, back_to: int = 0) -> Package:
    """A package that was deployed on that day of a month, and gone back from on another; never where these are 0."""
    metadata = {"deployed_at": at(day)} if day else {}
    if back_on:
        metadata |= {"rolled_back_at": at(back_on), "rolled_back_by": "somebody", "rolled_back_to": str(back_to)}
    return Package(f"arn/{version}", version, status, datetime.now(UTC), "image", "s3://b/k", metadata=metadata)


def at(day: int) -> str:
    return f"2026-03-{day:02}T12:00:00+00:00"


def serving(version: int, status: str = "InService", **more: str) -> Live:
    return Live(status, configuration=f"abalone-model-{version}-x", package_arn=f"arn/{version}", **more)  # type: ignore[arg-type]


PACKAGES = st.lists(
    st.tuples(st.sampled_from([APPROVED, REJECTED]), st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=8
)


@given(PACKAGES, st.data())
def test_it_is_the_last_one_deployed_that_is_fit_to_serve_however_new_others_are(
    drawn: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    packages = [
        package(version, status=status, day=day, back_on=21 * marked, back_to=99)
        for version, (status, day, marked) in enumerate(drawn, start=1)
    ][::-1]
    live = serving(data.draw(st.integers(1, len(packages))))
    fit = [p for p in packages if p.arn != live.package_arn and p.is_approved and p.deployed_at and not p.rolled_back]
    if fit:
        way = way_back("abalone", live, packages)
        assert way.to in fit
        assert way.to.deployed_at == max(p.deployed_at for p in fit)
        assert way.bad
        assert way.bad.arn == live.package_arn
    else:
        with pytest.raises(DeploymentError, match="Nothing to go back to"):
            way_back("abalone", live, packages)


def test_a_repetition_goes_no_further_back_unless_something_was_deployed_since() -> None:
    back = [package(3, day=3, back_on=4, back_to=2), package(2, day=4), package(1, day=1)]
    assert way_back("abalone", serving(2), back).done
    later = [package(4, day=5), package(3, day=3, back_on=4, back_to=2), package(2, day=6), package(1, day=1)]
    way = way_back("abalone", serving(2), later)  # a revert of main has deployed 2 again
    assert (way.done, way.to.version) == (False, 4)


def test_a_rollback_that_is_under_way_is_joined_and_any_other_update_is_left_alone() -> None:
    packages = [package(3, day=3, back_on=4, back_to=2), package(2, day=2), package(1, day=1)]
    way = way_back("abalone", serving(3, "Updating", pending="abalone-model-2-y"), packages)
    assert (way.bad, way.to) == (packages[0], packages[1])
    with pytest.raises(DeploymentError, match="is Updating towards abalone-model-4-y, by me since noon"):
        way_back("abalone", serving(3, "Updating", pending="abalone-model-4-y", changed="by me since noon"), packages)


def test_a_model_is_held_by_a_hold_or_by_a_rollback_of_mains_package_and_by_nothing_else() -> None:
    bad, old, newer = package(3, day=3, back_on=4, back_to=2), package(2, day=4), package(4)
    hold = Hold("we measure", "me", "noon")
    assert why_held(bad, old, serving(2)).startswith("held: version 3 was rolled back at 2026-03-04")
    assert why_held(old, old, Live("InService", hold=hold)) == "held since noon by me: we measure"
    for wanted, found, live in (
        (newer, old, serving(2)),  # a newer package of main's source waits for its deploy
        (bad, bad, serving(3)),  # the way back did not happen
        (bad, old, serving(2, "Updating")),
        (bad, old, serving(2, rollback="abalone-model-3-x")),  # not verified yet
        (None, old, serving(2)),
        (bad, None, Live()),
    ):
        assert why_held(wanted, found, live) == ""
