"""Deployment: what is declared, what is live, the plan between the two, its execution, and the proof that it worked."""

from common.deployment.alarms import Alarm
from common.deployment.capture import Capture
from common.deployment.declare import Endpoint
from common.deployment.modes import AsyncEndpoint, ServerlessEndpoint
from common.deployment.rollout import AllAtOnce, Canary, Linear
from common.deployment.scaling import BacklogScaling, Scaling
from common.deployment.shared.declare import SharedEndpoint

__all__ = ["Alarm", "AllAtOnce", "AsyncEndpoint", "BacklogScaling", "Canary", "Capture", "Endpoint", "Linear", "Scaling",
           "ServerlessEndpoint", "SharedEndpoint"]  # fmt: skip
