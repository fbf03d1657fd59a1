"""The audit by the real pip-audit, of an advisory service on this machine; and the list of what is pinned."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from common.lineage import pinned
from common.model import ROOT

pytestmark = pytest.mark.long


def make(*targets: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", *targets], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )


@contextmanager
def advisories(known: dict[str, str]) -> Iterator[str]:
    """A service that knows one vulnerability of each of these packages; yields its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            package = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
            flaw: dict[str, Any] = {"id": known.get(package), "summary": "bad", "affected": []}
            body = json.dumps({"vulns": [flaw]} if package in known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_a_known_vulnerability_the_audit_passes() -> None:
    with advisories({}) as url:
        done = make("audit", PIP_AUDIT_OSV_URL=url)
    assert done.returncode == 0, done.stderr
    assert "No vulnerability is known of " in done.stdout


def test_a_known_vulnerability_fails_the_audit_and_is_named() -> None:
    with advisories({"urllib3": "GHSA-1"}) as url:
        done = make("audit", PIP_AUDIT_OSV_URL=url)
    assert done.returncode != 0
    assert "Error: 1 of what is pinned cannot stay:\n  urllib3 " in done.stderr
    assert ": GHSA-1; mended in no version yet" in done.stderr
    assert "supply_chain/accepted.toml" in done.stderr


def test_where_the_service_cannot_be_reached_nothing_passes() -> None:
    done = make("audit", PIP_AUDIT_OSV_URL="http://127.0.0.1:9/v1/query")
    assert done.returncode != 0
    assert done.stderr.startswith("Error: Nothing was audited: requests.exceptions.ConnectionError: "), done.stderr
    assert "PIP_AUDIT_OSV_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_holds_all_that_is_pinned_with_its_hashes_and_is_always_the_same() -> None:
    """cyclonedx-py compares what it writes with the schema of CycloneDX before it writes."""
    assert make("sbom").returncode == 0
    written = (ROOT / "build" / "sbom.json").read_bytes()
    assert make("sbom").returncode == 0
    assert (ROOT / "build" / "sbom.json").read_bytes() == written
    document = json.loads(written)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    lines = pinned((ROOT / "requirements.txt").read_text())
    assert sorted(part["name"] for part in document["components"]) == sorted(package for package, _ in lines)
    hashes = {entry["content"] for part in document["components"] for entry in part["externalReferences"][0]["hashes"]}
    assert hashes == {
        word.removeprefix("--hash=sha256:") for _, line in lines for word in line.split() if "--hash" in word
    }
