"""`models new` and `models remove` on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from common.model import ROOT
from common.scaffold.kinds import Kind
from common.steps import failures_explained

if TYPE_CHECKING:
    from common.scaffold.create import Change

_STAYS = """\
What AWS has of {name} stays. Its endpoint costs money for as long as it is there; this lists everything of it that does, and
with --yes removes it:
  ./models teardown {name}
The package group {name} and {name}/ in the bucket cost next to nothing, and tell what once served; delete them in the console
when nobody has to know any more.
"""


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="1 to 24 lower-case letters and digits.", show_default=False)
    ],
    kind: Annotated[Kind, typer.Option(help="What it predicts: a class of two, or a number.", show_default=False)],
) -> None:
    """Make a new model, with example data.

    It trains, passes its gate and deploys as it is.

    \b
    Examples:
      models new fraud --kind classification
      models new price --kind regression
    """
    with failures_explained():
        from common.scaffold.create import creation

        change = creation(ROOT, name, kind)
        change.make()
    _tell(change)
    typer.echo(f"Next:\n"
               f'  git switch -c add-{name} && git add --all && git commit -m "Add the model {name}"\n'
               f"  make demo MODEL={name}              trains, approves, deploys and asks it, on this machine\n"
               f"  git push -u origin add-{name}       CircleCI trains it, and waits for the click\n"
               f"Then put your own data into {name}_model/gather_data.py.")  # fmt: skip


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model, e.g. fraud.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a model from the repository.

    Its folder, and its lines in the CircleCI files and the tests' table. What AWS has of it stays, and how that is
    deleted is printed.

    \b
    Examples:
      models remove fraud
    """
    with failures_explained():
        from common.scaffold.create import removal

        change = removal(ROOT, name)
        if not yes:
            folders = "".join(f"{folder.relative_to(ROOT)}/ with all that is in it, and " for folder in change.folders)
            typer.confirm(f"Delete {folders}the lines of {name} in {len(change.files)} files?", abort=True)
        change.make()
    _tell(change)
    typer.echo(_STAYS.format(name=name), nl=False)


def _tell(change: Change) -> None:
    for path in change.files:
        typer.echo(f"wrote {path.relative_to(ROOT)}")
    for folder in change.folders:
        typer.echo(f"deleted {folder.relative_to(ROOT)}/")
