"""Modules import downwards only, and nothing but the command line knows that a local AWS exists."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# From the bottom up: a module may import from its own layer and from those before it.
LAYERS = (
    ("common.archives", "common.errors", "common.tables"),
    ("common.model",),
    ("common.environments",),
    ("common.settings",),
    ("common.denials",),
    ("common.aws", "common.lineage", "common.protection"),
    ("common.storage",),
    ("common.notifications",),
    ("common.forecasting", "common.serving"),
    ("common.data",),
    ("common.evaluation",),
    ("common.report",),
    ("common.training",),
    ("common.registry",),
    ("common.deployment",),
    ("common.batch", "common.experiments", "common.monitoring"),
    ("common.operations", "common.scaffold", "common.steps"),
    ("common.dashboard",),
    ("common.commands",),
    ("common.cli",),
)
SOURCES = sorted(path for path in (ROOT / "common").rglob("*.py") if "local" not in path.relative_to(ROOT).parts)


def layer(module: str) -> int:
    for rank, members in enumerate(LAYERS):
        if any(module == member or module.startswith(f"{member}.") for member in members):
            return rank
    raise AssertionError(f"{module} belongs to no layer: add it to LAYERS")


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    direct = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return direct | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_modules_import_downwards_only(path: Path) -> None:
    name = module_name(path)
    if name == "common":
        return
    upwards = {
        other
        for other in imports(path)
        if other.startswith("common.") and not other.startswith("common.local") and layer(other) > layer(name)
    }
    assert upwards == set()


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_only_the_command_line_reaches_the_local_aws(path: Path) -> None:
    if module_name(path) != "common.commands.local":
        assert not any(other.startswith("common.local") for other in imports(path))


def test_the_local_aws_stands_on_the_errors_and_on_what_unpacks_with_care_only() -> None:
    local = (ROOT / "common/local").rglob("*.py")
    outside = {other for path in local for other in imports(path) if other.startswith("common.")}
    assert {o for o in outside if not o.startswith("common.local")} <= {"common.errors", "common.archives"}


def test_model_folders_import_no_other_model() -> None:
    folders = [path.parent for path in ROOT.glob("*_model/__init__.py")]
    for folder in folders:
        for path in folder.rglob("*.py"):
            others = {other.split(".")[0] for other in imports(path)} & {f.name for f in folders} - {folder.name}
            assert others == set(), path
