"""`models events`: what AWS tells by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from common.steps import failures_explained


def events(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and change nothing.")] = False,
) -> None:
    """Let AWS tell of jobs and deployments that fail.

    Makes the topic that NOTIFY_TOPIC_ARN names (by default models-notifications), and the rules of infra/events/, also for
    what fails outside CircleCI. Run again, it refreshes what differs.

    \b
    Examples:
      models events --plan
      models events
    """
    with failures_explained():
        from common.aws import Aws
        from common.notifications.wire import wire_events
        from common.settings import Settings

        aws = Aws(Settings.from_environment())
        topic = wire_events(aws, typer.echo, plan=plan)
        if not aws.settings.notify_topic:
            typer.echo(f"CircleCI's jobs tell, too, where their contexts have NOTIFY_TOPIC_ARN={topic}")
        typer.echo(
            f"Who is to hear: aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS"
        )
