"""Writes `docs/permissions.md`, the table for people: `python -m tests.permissions.page`."""

from pathlib import Path

from tests.permissions.cases import ROLES
from tests.permissions.exactly import EXACTLY
from tests.permissions.outsiders import OUTSIDERS, TOKENS
from tests.permissions.table import Actor, Given, Row

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
_INTRODUCTION = """# Who can do what

This page is made from the table of tests/permissions (`make docs`), and the tests hold every line of it against the policies of
[infra/policies](../infra/policies/README.md). These are applied to four accounts on the AWS on this machine, and to one that does
everything, are read back by boto3 as they stand there, and are decided on twice: by the evaluator of the local AWS, and by
iam-simulate, which others wrote. The latter runs where Node.js is there (`{install}`); elsewhere its
tests are skipped, and say so. There are {rows} lines over four accounts, {alone} of them over one, and {exactly} that say of all
roles at once who can.

`abalone` and `churn` stand for any two models, `prices` for an endpoint that several models share. A resource is written with
its environment: *registry* `abalone/packages/…` is an object in the registry's bucket. Lines marked ⁴ hold only where the
environments are accounts of their own: in one account there is one bucket and one key.

What IAM decides is proven here, on the documents; that AWS decides as both evaluators do, only AWS can show.
"""


def page() -> str:
    rows = [(actor, row) for actor in (*ROLES, *OUTSIDERS) for row in actor.rows]
    alone = sum(not (actor.apart or row.apart) for actor, row in rows)
    staging = sum("@staging" in token.role for token in TOKENS)
    introduction = _INTRODUCTION.format(
        install="npm ci --prefix tests/permissions/simulator",
        rows=len(rows) + len(TOKENS),
        alone=alone + len(TOKENS) - staging,
        exactly=len(EXACTLY),
    )
    parts = [introduction, "## Exactly these\n", _exactly(), "## The roles of the project\n", *map(_actor, ROLES)]
    parts += ["## Whose token takes on a role\n", _tokens(), "## Everybody else\n", *map(_actor, OUTSIDERS)]
    return "\n".join(parts)


def _actor(actor: Actor) -> str:
    lines = [f"### {actor.title}{'⁴' if actor.apart else ''}\n"]
    for can in (True, False):
        found = [row for row in actor.rows if row.can is can]
        if found:
            lines += [f"| {'can' if can else 'cannot'} | on | because |", "|---|---|---|", *map(_row, found), ""]
    return "\n".join(lines)


def _exactly() -> str:
    lines = (
        f"| `{action}`{_said(given)} | {_resource(on)} | {', '.join(f'`{name}`' for name in who) or 'nobody'} |"
        for action, on, given, who in EXACTLY
    )
    return "\n".join(["| | on | can, of all roles of four accounts |", "|---|---|---|", *lines, ""])


def _said(given: Given) -> str:
    return "".join(f", {key.partition(':')[2]} {_value(value)}" for key, value in given.items())


def _row(row: Row) -> str:
    return f"| `{row.action}`{_said(row.given)} | {_resource(row.on)}{'⁴' if row.apart else ''} | {row.because} |"


def _value(value: str | list[str]) -> str:
    return _resource(value) if isinstance(value, str) and "@" in value else f"`{value}`"


def _resource(text: str) -> str:
    if text == "*":
        return "anything"
    kind, _, where = text.partition("@")
    environment, _, name = where.partition(":")
    place = "another account" if environment.isdigit() else environment
    if kind == "s3":
        return f"*{place}* `{name}`"
    return f"*{place}* {kind.replace('-', ' ')}" + (f" `{name}`" if name else "")


def _tokens() -> str:
    lines = (f"| {'can' if token.can else 'cannot'} | {token.title} | {_resource(token.role)} |" for token in TOKENS)
    return "\n".join(["| | with the token of a CircleCI job of | take on |", "|---|---|---|", *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
