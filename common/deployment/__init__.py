"""Deployment: what is declared, what is live, the plan between the two, its execution, and the proof that it worked."""

from common.deployment.declare import Alarm, AllAtOnce, Canary, Endpoint, Linear

__all__ = ["Alarm", "AllAtOnce", "Canary", "Endpoint", "Linear"]
