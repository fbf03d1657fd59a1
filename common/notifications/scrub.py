"""No secret leaves by e-mail: what looks like one is taken out of a text."""

import re

REMOVED = "[removed]"

_PATTERNS = (
    # A URL that carries its own right of access: the query goes, the rest still says what it was.
    (re.compile(r"(https?://[^\s?]+)\?[^\s]*(?:X-Amz-|AWSAccessKeyId=|Signature=|sig=)[^\s]*", re.IGNORECASE), r"\1"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/]+@", re.IGNORECASE), rf"\1:{REMOVED}@"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REMOVED),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), REMOVED),  # a JSON Web Token, such as CircleCI's identity
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|CCIPAT_|CCIPRJ_|xox[abprs]-)[\w-]+"), REMOVED),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REMOVED),
    (re.compile(r"(\bBearer\s+)\S+", re.IGNORECASE), rf"\1{REMOVED}"),
    (
        re.compile(
            r"""(\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s,;&}]+)""",
            re.IGNORECASE,
        ),
        rf"\1{REMOVED}",
    ),
)


def scrub(text: str) -> str:
    """The text without access keys, tokens, passwords, private keys and the signatures of presigned URLs."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
