"""Nothing that this project starts can be reached from another machine: asked of the kernel."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from common.local import daemon
from common.local.postgres import postgres
from tests.functional.deployment.deployment_kit import Project

_LISTENS = "0A"
pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens in /proc")


def family(pid: int) -> set[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for parent in new for child in parents.get(parent, [])} - found
    return found


def listening(processes: set[int]) -> set[str]:
    """The addresses at which the processes take connections."""
    inodes = set()
    for pid in processes:
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                inodes.add(str(descriptor.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and (fields[3] == _LISTENS or "udp" in table):
                found.add(_address(fields[1].partition(":")[0]))
    return found


def _address(kernels: str) -> str:
    """An address as the kernel prints it: words of four bytes, each in this machine's order."""
    words = bytes.fromhex(kernels)
    ordered = b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))
    return str(ip_address(ordered))


def test_a_server_that_other_machines_reach_would_be_seen() -> None:
    with socket.create_server(("0.0.0.0", 0)), socket.create_server(("::1", 0), family=socket.AF_INET6):  # noqa: S104
        assert {"0.0.0.0", "::1"} <= listening({os.getpid()})  # noqa: S104


def test_the_local_aws_and_what_serves_models_listen_on_this_machine_only(aws_root: Path, project: Project) -> None:
    project.deploy(project.package(1))
    assert project.answers() == 1
    running = daemon.status(aws_root)
    assert running is not None
    processes = family(running.pid)
    assert len(processes) > 1, "a container runs"
    assert listening(processes) == {"127.0.0.1"}


def test_what_the_local_aws_leaves_on_disk_only_its_owner_reads(aws_root: Path, project: Project) -> None:
    project.deploy(project.package(1))
    assert aws_root.stat().st_mode & 0o077 == 0
    for pattern in ("moto", "moto/*", "server.log", "lock", "sagemaker.sqlite"):
        for path in aws_root.glob(pattern):
            assert path.stat().st_mode & 0o022 == 0, path


@pytest.mark.long
def test_the_warehouse_of_the_demo_listens_on_this_machine_only() -> None:
    before = set(Path("/proc").glob("[0-9]*"))
    with postgres():
        servers = {int(path.name) for path in set(Path("/proc").glob("[0-9]*")) - before if _is_postgres(path)}
        assert servers
        assert listening(servers) == {"127.0.0.1"}


def _is_postgres(process: Path) -> bool:
    try:
        return b"postgres" in (process / "cmdline").read_bytes()
    except OSError:
        return False
