import pytest

from common.local.pipeline.config import Checkout, RestoreCache, Run, StoreTestResults
from common.local.pipeline.errors import ConfigError
from common.local.pipeline.job import seconds, title


@pytest.mark.parametrize(("written", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("0.5s", 0.5)])
def test_duration_is_read_in_seconds(written: str, expected: float) -> None:
    assert seconds(written) == expected


@pytest.mark.parametrize("written", ["", "10", "10 m", "ten minutes", "-1s", "10d"])
def test_duration_without_number_or_unit_is_an_error(written: str) -> None:
    with pytest.raises(ConfigError, match="not a duration"):
        seconds(written)


def test_steps_are_called_by_their_name_or_kind() -> None:
    assert title(Run("make", name="Build it")) == "Build it"
    assert [title(step) for step in (Checkout(), RestoreCache(("k",)), StoreTestResults("p"))] == [
        "Checkout",
        "Restore cache",
        "Store test results",
    ]
