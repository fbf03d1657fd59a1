"""What no line of this repository may do, whoever wrote it and however well it is meant."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from common.local.pipeline import config

ROOT = Path(__file__).parents[2]
PICKLES = {"pickle", "joblib", "shelve", "marshal", "dill", "cloudpickle", "cPickle", "_pickle"}
LOADS_PICKLES = {"read_pickle", "load_module", "Unpickler"}
MAY_PICKLE = {"common/local/snapshots.py"}
"""The local AWS's own state, in a folder that only its owner can write."""
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput")}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
BINDS = {"bind", "create_server", "HTTPServer", "ThreadingHTTPServer", "TCPServer"}


def sources() -> list[Path]:
    """The committed Python of the project: all but the tests, which make poison to see it refused."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    paths = [ROOT / name for name in listed if not name.startswith(("tests/", "benchmarks/"))]
    return [path for path in paths if path.is_file() and path.suffix == ".py"]


SOURCES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sources()}


def calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """(what the function belongs to, its name, the call)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                owner = node.func.value
                yield (owner.id if isinstance(owner, ast.Name) else ""), node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id, node


def keywords(call: ast.Call) -> dict[str | None, object]:
    return {
        word.arg: word.value.value if isinstance(word.value, ast.Constant) else word.value for word in call.keywords
    }


def test_the_sources_are_found() -> None:
    assert {"common/cli.py", "common/local/snapshots.py", "abalone_model/deploy.py"} <= SOURCES.keys()


def offences(name: str, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if name not in MAY_PICKLE and (found := PICKLES & {module.partition(".")[0] for module in modules}):
            yield f"imports {found.pop()}"
    for owner, function, call in calls(tree):
        told = keywords(call)
        if function in LOADS_PICKLES and name not in MAY_PICKLE:
            yield f"loads pickles by {function}"
        if (owner in ("np", "numpy") and function == "load" and told.get("allow_pickle") is not False) or told.get(
            "allow_pickle"
        ):
            yield "lets NumPy load pickles"
        if told.get("shell") not in (None, False) or (owner, function) in SHELLS:
            yield "hands a text to a shell"
        if owner == "" and function in RUNS_TEXT and isinstance(call.func, ast.Name):
            yield f"runs a text by {function}"
        if owner == "yaml" and function not in ("safe_load", "safe_dump", "SafeLoader"):
            yield f"reads YAML by {function}"
        if function in ("mktemp", "tempnam"):
            yield "names a temporary file before it is made"
        if function in ("extract", "extractall") and told.get("filter") != "data":
            yield "unpacks what may lie outside"
        if function in BINDS and call.args and isinstance(call.args[0], ast.Tuple):
            host = call.args[0].elts[0]
            if not (isinstance(host, ast.Constant) and host.value in LOOPBACK):
                yield "listens to other machines"


def test_no_line_does_what_none_may() -> None:
    found = {name: set(offences(name, tree)) for name, tree in SOURCES.items()}
    assert {name: told for name, told in found.items() if told} == {
        "common/local/pipeline/config.py": {"reads YAML by load"}  # by a loader of its own: see below
    }


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from joblib import load", "pd.read_pickle(x)", "np.load(f)", "np.load(f, allow_pickle=True)",
     "subprocess.run(c, shell=True)", "os.system(c)", "eval(x)", "yaml.load(x)", "yaml.unsafe_load(x)", "tempfile.mktemp()",
     "tar.extractall(to)", "socket.create_server(('', 1))", "s.bind(('0.0.0.0', 1))", "HTTPServer((host, 1), H)"],
)  # fmt: skip
def test_every_offence_is_seen(line: str) -> None:
    assert list(offences("common/x.py", ast.parse(line)))


def test_the_one_loader_of_yaml_that_is_no_safe_load_makes_no_objects() -> None:
    assert issubclass(config._Loader, yaml.SafeLoader)
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.getcwd []", config._Loader)  # noqa: S506 - that it is safe is the question
