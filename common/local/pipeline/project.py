"""The CircleCI project that the player plays, as the identities of its jobs name it."""

from pathlib import Path

ORGANISATION = "00000000-0000-4000-8000-000000000001"
PROJECT = "00000000-0000-4000-8000-000000000002"
USER = "00000000-0000-4000-8000-000000000003"
"""Whoever pushes, triggers and clicks."""
ISSUER = f"https://oidc.circleci.com/org/{ORGANISATION}"


def origin(repo: Path) -> str:
    """What the identity calls the repository that jobs are cloned from."""
    return f"github.com/local/{repo.resolve().name}"


def subject(repository: str, reference: str, user: str = USER) -> str:
    """Who a job is: `reference` is e.g. `refs/heads/main`."""
    return f"org/{ORGANISATION}/project/{PROJECT}/user/{user}/vcs-origin/{repository}/vcs-ref/{reference}"
