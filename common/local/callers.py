"""Who may speak to the local AWS: programs on this machine, and no web page.

It asks for no password, and its jobs run programs: whoever can send it a request can run anything as its user. A web page that
somebody looks at on this machine can send requests to 127.0.0.1 as well, directly or, by a name of its own that it lets
resolve to 127.0.0.1, as if to its own server. Browsers tell both apart, and no client of AWS sends what they send.
"""

import json
import re
from collections.abc import Iterable

from common.local.moto_app import Environ, StartResponse, WsgiApp

_HERE = re.compile(r"((.+\.)?localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
"""S3's clients put a bucket's name before `localhost`."""


def from_programs_only(application: WsgiApp) -> WsgiApp:
    """The application behind a door: what a browser sends for a page, or to a name of another machine, is refused with 403."""

    def door(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reason = _suspicion(environ)
        if not reason:
            return application(environ, start_response)
        message = f"The local AWS answers programs on this machine only: {reason}."
        body = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("403 Forbidden", [*headers, ("x-amzn-ErrorType", "AccessDeniedException")])
        return [body]

    return door


def _suspicion(environ: Environ) -> str:
    """Why the request is no program's of this machine; empty where it is one's."""
    host = environ.get("HTTP_HOST", "")
    if host and not _HERE.fullmatch(host):
        return f"the request is for {host[:100]!r}, which is another"
    if "HTTP_ORIGIN" in environ:
        return "a web page has sent the request"
    if environ.get("HTTP_SEC_FETCH_SITE", "none") != "none":  # none: somebody has typed the address
        return "a web page has made a browser ask"
    return ""
