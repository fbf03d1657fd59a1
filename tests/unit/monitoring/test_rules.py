"""When windows add up to a reason to retrain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from common.monitoring.checks import LEAST_RATE, Checks
from common.monitoring.rules import Rule, WindowResult, decide

flags = st.tuples(st.booleans(), st.booleans(), st.booleans())


def history(windows: list[tuple[bool, bool, bool]]) -> list[WindowResult]:
    return [WindowResult(f"w{number}", *each) for number, each in enumerate(windows)]


@given(st.lists(flags, max_size=12), st.integers(1, 5), st.integers(0, 5))
def test_enough_of_the_last_sound_windows_are_a_reason(
    windows: list[tuple[bool, bool, bool]], enough: int, more: int
) -> None:
    rule = Rule(enough, enough + more)
    decision = decide(history(windows), rule)
    sound = [each for each in windows if not each[2]][-rule.of :]
    drifted, degraded = (sum(each[kind] for each in sound) for kind in (0, 1))
    assert decision.retrain == (max(drifted, degraded) >= enough)
    assert decision.reason == ("degraded" if degraded >= enough else "drift" if drifted >= enough else "")
    if decision.retrain:
        assert len(decision.windows) >= enough
        assert all(window in decision.words for window in decision.windows)


@given(st.lists(flags, max_size=12), flags)
def test_a_broken_window_changes_nothing(
    windows: list[tuple[bool, bool, bool]], broken: tuple[bool, bool, bool]
) -> None:
    before = decide(history(windows), Rule())
    assert decide([*history(windows), WindowResult("broken", broken[0], broken[1], broken=True)], Rule()) == before


def test_one_odd_window_is_no_reason() -> None:
    quiet, odd = (False, False, False), (True, True, False)
    decision = decide(history([quiet, odd, quiet, quiet, odd]), Rule(3, 5))
    assert not decision.retrain
    assert decision.words == "predictions were worse in 2 of the last 5 windows; 3 of 5 are a reason"


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ([], "no sound window has been looked at yet"),
        ([(True, False, True)], "no sound window has been looked at yet"),
        ([(False, False, False)], "nothing had changed in the last window"),
        ([(False, False, False)] * 9, "nothing had changed in the last 5 windows"),
        ([(True, False, False)], "data had drifted in 1 of the last 1 windows"),
    ],
)
def test_where_nothing_is_found_the_words_say_so(windows: list[tuple[bool, bool, bool]], words: str) -> None:
    decision = decide(history(windows), Rule(3, 5))
    assert not decision.retrain
    assert decision.words == f"{words}; 3 of 5 are a reason"


@pytest.mark.parametrize("rule", [(0, 5), (6, 5), (-1, 1)])
def test_a_rule_that_can_never_be_met_is_refused(rule: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="can never be"):
        Rule(*rule)


def test_thresholds_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(UsageError, match=r"least_auc=1\.5\) is no share"):
        Checks(least_auc=1.5)
    with pytest.raises(UsageError, match=r"rate of 0\.001 cannot be kept"):
        Checks(false_discovery_rate=0.001)
    assert Checks.from_json(Checks(LEAST_RATE, ignored=("a",)).to_json()) == Checks(LEAST_RATE, ignored=("a",))
