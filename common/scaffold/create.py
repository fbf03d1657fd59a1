"""`models new` and `models remove`: first what would change, then the change."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from common.errors import ModelsError, UsageError
from common.model import Model
from common.scaffold.example import example
from common.scaffold.kinds import WORDS, Kind
from common.scaffold.wiring import places_of, read, unwire, wire

_TEMPLATES = Path(__file__).parent / "templates"
_TABLE_ENTRY = "table_entry"


@dataclass(frozen=True)
class Change:
    """What makes or removes a model: files with their new text, and folders that go."""

    files: Mapping[Path, str]
    folders: tuple[Path, ...] = ()

    def make(self) -> None:
        """Write the files, then delete the folders."""
        for path, text in self.files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        for folder in self.folders:
            shutil.rmtree(folder)


def creation(root: Path, name: str, kind: Kind) -> Change:
    """What makes a new model: its folder, and its lines in the CircleCI files and the tests' table.

    Raises:
        UsageError: the name cannot be one, or is taken.
        ModelsError: a file that names the models is not of the form that is known, or has lines of that model already.
    """
    folder, texts = _folder(root, name), read(root)
    if folder.exists():
        raise UsageError(f"{folder.name}/ exists already.", "Choose another name, or remove that model first.")
    if remains := places_of(texts, name):
        raise ModelsError(
            f"There is no folder {folder.name}, but {'; '.join(map(str, remains))} have lines of {name}.",
            f"`models remove {name}` takes them out.",
        )
    words = WORDS[kind] | {"name": name, "variable": name.upper()}
    templates = {path.stem: path.read_text() for path in sorted(_TEMPLATES.glob("*.template"))}
    wired = wire(texts, name, Template(templates.pop(_TABLE_ENTRY)).substitute(words))
    files = {folder / file: _sort_imports(Template(text).substitute(words)) for file, text in templates.items()}
    files[folder / "example.csv"] = example(words["target"])
    return Change(files | {root / file: text for file, text in wired.items()})


def removal(root: Path, name: str) -> Change:
    """What removes a model from the repository, also one of which only a part is there.

    Raises:
        UsageError: there is nothing of such a model.
        ModelsError: a file that names the models is not of the form that is known.
    """
    folder, texts = _folder(root, name), read(root)
    if not places_of(texts, name) and not folder.exists():
        raise UsageError(f"There is no model '{name}'.", "`models list` shows those of this checkout.")
    files = {root / file: text for file, text in unwire(texts, name).items() if text != texts[file]}
    return Change(files, (folder,) if folder.exists() else ())


def _folder(root: Path, name: str) -> Path:
    """The model's folder; a name that cannot be one is refused, so that it leads to no other folder."""
    return root / Model(name, description="", target="", problem="regression").folder


def _sort_imports(module: str) -> str:
    """The module with its imports in order: where that of the model's own folder belongs depends on its name."""
    return "\n\n".join(
        "\n".join(sorted(part.split("\n"))) if part.startswith("from common") else part for part in module.split("\n\n")
    )
