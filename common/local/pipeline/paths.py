"""What the path-filtering orb does: the files that a push changed, and the pipeline parameters that follow from them.

The orb's quirks are kept on purpose, since a push to CircleCI meets them: a regex is wrapped as `^…$` without
parentheses of its own, the last matching line of a parameter wins, and a file name with a space is not seen.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.local.pipeline.config import Value
from common.local.pipeline.errors import ConfigError, PipelineError

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""git's name of the tree without files, with which a first commit is compared."""

_REPOSITORY_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


@dataclass(frozen=True)
class Rule:
    """One line of the mapping: files that match `regex` set `parameter` to `value`."""

    regex: str
    parameter: str
    value: Value


def parse_mapping(text: str) -> tuple[Rule, ...]:
    """The lines `regex parameter value` of the orb's mapping, where the value is JSON and `#` starts a comment line.

    Raises:
        ConfigError: a line has not three columns, its regex is invalid, or its value is not a plain JSON value.
    """
    rules = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        columns = line.split()
        if len(columns) != 3:
            raise ConfigError(f"the mapping's line {line.strip()!r} has {len(columns)} columns instead of three")
        regex, parameter, value = columns
        try:
            re.compile(regex)
            parsed = json.loads(value)
        except (re.error, json.JSONDecodeError) as error:
            raise ConfigError(f"the mapping's line {line.strip()!r} cannot be read: {error}") from error
        if not isinstance(parsed, str | int | bool):
            raise ConfigError(f"the mapping's line {line.strip()!r} sets neither a string, a number nor a boolean")
        rules.append(Rule(regex, parameter, parsed))
    return tuple(rules)


def matches(rule: Rule, file: str) -> bool:
    """Whether the orb sees the changed file under this rule."""
    return not re.search(r"\s", file) and re.search(f"^{rule.regex}$", file) is not None


def parameters(rules: Iterable[Rule], files: Iterable[str]) -> dict[str, Value]:
    """The pipeline parameters that the orb passes to the continuation for these changed files."""
    files = list(files)
    return {rule.parameter: rule.value for rule in rules if any(matches(rule, file) for file in files)}


def git(repo: Path, *arguments: str) -> str:
    """The output of a git command in `repo`.

    Raises:
        PipelineError: git failed; the message is git's own.
    """
    done = _run(repo, *arguments)
    if done.returncode != 0:
        raise PipelineError(f"git {' '.join(arguments)} failed in {repo}: {done.stderr.strip()}")
    return done.stdout


def _run(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """git in `repo`, also where a hook calls the player: git tells hooks by variables which repository is meant."""
    env = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    command = ["git", "-C", str(repo), *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )


def exists(repo: Path, revision: str) -> bool:
    """Whether the revision names a commit of the repository."""
    return _run(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").returncode == 0


def changed_files(repo: Path, head: str, base: str) -> list[str]:
    """The files that the orb sees as changed in commit `head`: since its merge base with `base`, or, where that is
    `head` itself (a push to the base branch), since the commit before; a first commit changes every file it has.

    Names are as `git diff --name-only` prints them: one with unusual characters is quoted, and matches nothing.

    Raises:
        PipelineError: there is no merge base, or the clone is too shallow to tell.
    """
    if git(repo, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise PipelineError(
            f"{repo} is a shallow clone, so what a push changed cannot be told", "git fetch --unshallow"
        )
    if not exists(repo, base):
        raise PipelineError(f"the base revision {base!r} does not exist in {repo}", "git fetch origin main:main")
    head = git(repo, "rev-parse", f"{head}^{{commit}}").strip()
    found = _run(repo, "merge-base", base, head)
    if found.returncode != 0:
        raise PipelineError(f"{head[:9]} and {base} have no common ancestor", f"rebase the branch onto {base}")
    since = found.stdout.strip()
    if since == head:
        since = f"{head}~1" if exists(repo, f"{head}~1") else EMPTY_TREE
    # git's defaults, whatever the user's configuration: they decide how a rename or an umlaut looks to the orb
    return git(
        repo, "-c", "diff.renames=true", "-c", "core.quotePath=true", "diff", "--name-only", since, head
    ).splitlines()
