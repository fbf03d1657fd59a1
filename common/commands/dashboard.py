"""`models dashboard`: where all models stand, for people who use no command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common.steps import failures_explained


def dashboard(
    output: Annotated[Path, typer.Option(metavar="FILE", help="Where the page is written.")] = Path(
        "build/dashboard.html"
    ),
) -> None:
    """Write one page that shows where every model stands.

    Versions and who approved them, what serves, drift, batches, what waits for a click, alarms and costs, as AWS has
    them now. The page needs nothing from elsewhere: keep it, or send it to somebody.

    \b
    Examples:
      models dashboard
      models dashboard --output models.html
    """
    with failures_explained():
        from common.dashboard.write import write_dashboard
        from common.model import all_models
        from common.steps.context import Context

        write_dashboard(Context.from_environment(), all_models(), output)
