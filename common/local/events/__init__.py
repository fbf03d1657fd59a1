"""EventBridge on this machine: SageMaker's events, what a target gets of them, its permissions, and schedules."""
