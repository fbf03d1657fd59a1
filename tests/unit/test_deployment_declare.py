"""Declarations that cannot work are refused where they are written."""

import pytest

from common.deployment.declare import Alarm, AllAtOnce, Endpoint
from common.errors import UsageError


def test_two_alarms_that_would_share_a_name_are_refused() -> None:
    with pytest.raises(UsageError, match="same statistic of the same metric"):
        Endpoint("ml.m5.large", AllAtOnce(), (Alarm("ModelLatency", "p99", 1e5), Alarm("ModelLatency", "p99", 2e5)))
