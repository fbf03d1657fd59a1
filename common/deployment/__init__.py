"""Deployment: what is declared, what is live, the plan between the two, its execution, and the proof that it worked."""

from common.deployment.alarms import Alarm
from common.deployment.declare import Endpoint
from common.deployment.rollout import AllAtOnce, Canary, Linear

__all__ = ["Alarm", "AllAtOnce", "Canary", "Endpoint", "Linear"]
