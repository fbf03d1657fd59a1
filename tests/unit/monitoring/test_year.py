"""A year in small with each monitor: what `benchmarks/year.py` measures over 365 days."""

from functools import partial

import pytest

from benchmarks.monitoring import PLAIN
from benchmarks.year import Calendar, by_index, live, ours

SHIFT, CONCEPT = 15, 32
CALENDAR = Calendar(
    days=75,
    late=5,
    events={SHIFT: "shift", CONCEPT: "concept"},
    seconds=range(8, 12),
    gaps=range(62, 66),
    failed=(4,),
)


@pytest.mark.long
def test_changes_are_found_and_learnt_and_failures_are_not_and_psi_does_worse() -> None:
    year, plain = live(ours, CALENDAR), live(partial(by_index, bound=PLAIN), CALENDAR)

    # Drift is found within days; where only the truth tells, as soon as it is known.
    assert year.decided[SHIFT] <= SHIFT + 4
    assert CONCEPT + CALENDAR.late <= year.decided[CONCEPT] <= CONCEPT + CALENDAR.late + 7

    # Nothing else is learnt: neither what a failed pipeline left, nor chance.
    assert year.retrained == [year.decided[SHIFT], year.decided[CONCEPT]]
    assert year.alarms <= 2

    # Training again restores the quality.
    served = year.served[CONCEPT]
    assert year.loss(CONCEPT, served) > 2 * year.loss(0, CONCEPT)
    assert year.loss(served, CALENDAR.days) < 1.1 * year.loss(0, CONCEPT)

    # PSI > 0.2 is no faster, and learns from the seconds that came in as minutes.
    assert all(year.decided[event] <= plain.decided.get(event, CALENDAR.days) for event in CALENDAR.events)
    assert any(map(CALENDAR.is_broken, plain.needless))
    assert len(year.needless) < len(plain.needless)
