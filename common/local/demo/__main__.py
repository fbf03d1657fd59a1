"""Everything happens in a scratch folder: a clone of this repository with an origin of its own, and a local AWS.

The reports are copied to `build/demo/`, to be looked at afterwards.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console

from common.errors import ModelsError, UsageError
from common.local.demo.stage import ROOT, tell
from common.local.demo.stories import story_of, whole_story
from common.local.pipeline.paths import git

_USAGE = "usage: demo [MODEL]   MODEL is a model of this repository; without it, the whole story is told"


def require_model(name: str) -> None:
    """Refuse a model that the last commit does not have.

    Raises:
        UsageError: it has none of that name.
    """
    folders = git(ROOT, "ls-tree", "-d", "--name-only", "HEAD").split()
    models = [folder.removesuffix("_model") for folder in folders if folder.endswith("_model")]
    if name not in models:
        raise UsageError(
            f"The last commit has no model '{name}', but {', '.join(models)}.",
            "The demo clones what is committed: commit the model first, or correct its name.",
        )


def main() -> int:
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        print(_USAGE)  # noqa: T201
        return 0 if len(sys.argv) == 2 else 2
    started, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    try:
        for model in sys.argv[1:]:
            require_model(model)
        tell(story_of(sys.argv[1]) if sys.argv[1:] else whole_story, console)
    except ModelsError as error:
        console.print(f"[bold red]Error:[/] {error}")
        return error.exit_code
    console.print(
        f"\nThe whole story took {time.monotonic() - started:.0f} s. Now read README.md, «The three gestures»."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
