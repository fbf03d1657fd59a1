"""The fast local AWS of the deployments' tests, a model in an account of its own, and a queue that hears its topic."""

from tests.functional.deployment.conftest import aws_root, aws_url, project
from tests.functional.notifications.conftest import ears

__all__ = ["aws_root", "aws_url", "ears", "project"]
