"""`restore_cache` and `save_cache` on this machine."""

import hashlib
import json
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.local.pipeline.errors import ConfigError

_TEMPLATE = re.compile(r'{{\s*(?:(arch)|checksum\s+"([^"]+)")\s*}}')


class Caches:
    """Saved paths by key, in a folder. A key is saved once and never changes, as on CircleCI."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seed(self, key: str, checkout: Path, path: str, target: Path) -> None:
        """Let the key stand for the folder `target` as it is: restoring it makes a folder of links instead of copies.

        A job that replaces the folder replaces its links and never touches the target. The key's checksums are taken
        from `checkout`, so that a job whose checkout has other files misses it.
        """
        links, name = {path: str(target.resolve())}, render(key, checkout)
        if (name, links) not in [entry[:2] for entry in self._entries()]:  # another pipeline may be restoring it
            self._write(name, links, checkout)

    def restore(self, keys: Iterable[str], checkout: Path) -> str:
        """Put the paths of the first key found into the checkout; a key also finds those that begin with it, the
        newest first. Returns the key that was found, or the empty string."""
        for key in keys:
            wanted = render(key, checkout)
            found = [entry for entry in self._entries() if entry[0].startswith(wanted)]
            if found:
                name, links, entry = max(found, key=lambda item: item[2].stat().st_mtime_ns)
                for path, target in links.items():
                    _put(Path(target) if target else entry / "content" / path, checkout / path, link=bool(target))
                return name
        return ""

    def save(self, key: str, paths: Iterable[str], checkout: Path) -> bool:
        """Keep copies of the paths. False when the key was saved before, or none of the paths exists."""
        wanted = render(key, checkout)
        present = {path: "" for path in paths if (checkout / _inside(path)).exists()}
        if not present or (self._folder / _digest(wanted)).exists():
            return False
        return self._write(wanted, present, checkout)

    def _entries(self) -> Iterator[tuple[str, dict[str, str], Path]]:
        for file in self._folder.glob("*/entry.json"):
            entry = json.loads(file.read_text())
            yield entry["key"], entry["links"], file.parent

    def _write(self, key: str, links: dict[str, str], checkout: Path) -> bool:
        """Write an entry beside its place, then move it there: nobody sees half of it. A link replaces an older one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / _digest(key)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            entry = Path(scratch) / "entry"
            entry.mkdir()
            for path, target in links.items():
                if not target:
                    _put(checkout / path, entry / "content" / path, link=False)
            (entry / "entry.json").write_text(json.dumps({"key": key, "links": links}))
            if place.exists() and any(links.values()):
                shutil.rmtree(place)
            try:
                entry.rename(place)
            except OSError:
                return False  # another job saved the key in the meantime
        return True


def render(key: str, checkout: Path) -> str:
    """The key with `{{ arch }}` and `{{ checksum "file" }}` filled in.

    Raises:
        ConfigError: the key has another template, or the file of a checksum is missing.
    """

    def filled(match: re.Match[str]) -> str:
        if match[1]:
            return f"{sys.platform}-{platform.machine()}"
        file = checkout / match[2]
        if not file.is_file():
            raise ConfigError(f"the cache key {key!r} needs {match[2]}, which the checkout does not have")
        return hashlib.sha256(file.read_bytes()).hexdigest()

    text = _TEMPLATE.sub(filled, key)
    if "{{" in text:
        raise ConfigError(f"the cache key {key!r} has a template that the player does not know")
    return text


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _inside(path: str) -> str:
    """The path, when it is inside the checkout."""
    if Path(path).is_absolute() or ".." in Path(path).parts or path.startswith("~"):
        raise ConfigError(f"the path {path!r} is outside the checkout; the player keeps to it")
    return path


def _put(source: Path, target: Path, *, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.mkdir()
        for item in source.iterdir():
            (target / item.name).symlink_to(item)
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
