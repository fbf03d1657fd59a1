"""The fast local AWS of the deployments' tests, and a model in an account of its own."""

from tests.functional.deployment.conftest import aws_root, aws_url, project

__all__ = ["aws_root", "aws_url", "project"]
