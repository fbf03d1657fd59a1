"""Deployment: what is declared, what is live, the plan between the two, its execution, and the proof that it worked."""

from common.deployment.alarms import Alarm, Learned
from common.deployment.capture import Capture
from common.deployment.declare import Endpoint
from common.deployment.modes import AsyncEndpoint, ServerlessEndpoint
from common.deployment.rollout import AllAtOnce, Canary, Linear, Rolling
from common.deployment.scaling import BacklogScaling, Scaling
from common.deployment.shared.declare import SharedEndpoint

__all__ = ["Alarm", "AllAtOnce", "AsyncEndpoint", "BacklogScaling", "Canary", "Capture", "Endpoint", "Learned", "Linear",
           "Rolling", "Scaling", "ServerlessEndpoint", "SharedEndpoint"]  # fmt: skip
