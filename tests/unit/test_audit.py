"""What of the audit needs no advisory service: what is asked, what is passed over until when, and what is said."""

from datetime import date

import pytest

from common.errors import AuditError
from supply_chain.audit import ROOT, Accepted, command, findings, read_accepted

TODAY = date(2026, 11, 22)
ENTRY = '[[accepted]]\nid = "GHSA-1"\nuntil = 2027-01-31\nreason = "Nothing here parses XML."\n'


def test_what_is_accepted_counts_until_its_day() -> None:
    accepted = [*read_accepted(ENTRY), Accepted("GHSA-2", TODAY, "too long ago")]
    asked = command(accepted, TODAY)
    assert asked[asked.index("--ignore-vuln") + 1] == "GHSA-1"
    assert "GHSA-2" not in asked
    assert {"--require-hashes", "--disable-pip", "--strict"} <= set(asked)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[accepted]]\nid = "GHSA-1"\nreason = "x"\n', "until"),
        ('[[accepted]]\nid = "GHSA-1"\nuntil = "2027-01-31"\nreason = "x"\n', "toordinal"),
        ('[[accepted]]\nid = "GHSA-1"\nuntil = 2027-01-31\nreason = ""\n', "an empty id or reason"),
        ("[[accepted", "Expected"),
    ],
)
def test_a_decision_without_reason_or_day_is_refused(text: str, said: str) -> None:
    with pytest.raises(AuditError, match=rf"(?s)supply_chain/accepted\.toml cannot be read: .*{said}"):
        read_accepted(text)


def test_the_decisions_that_are_there_can_be_read() -> None:
    assert all(entry.reason for entry in read_accepted((ROOT / "supply_chain" / "accepted.toml").read_text()))


def test_each_vulnerability_and_each_package_of_which_nobody_can_tell_is_named() -> None:
    flaw = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0", "1.9"]}
    report = {
        "dependencies": [
            {"name": "good", "version": "1.0", "vulns": []},
            {"name": "bad", "version": "1.0", "vulns": [flaw, {"id": "PYSEC-2", "aliases": [], "fix_versions": []}]},
            {"name": "odd", "skip_reason": "no answer"},
        ]
    }
    assert list(findings(report)) == [
        "bad 1.0: PYSEC-1, CVE-1; mended in 2.0, 1.9",
        "bad 1.0: PYSEC-2; mended in no version yet",
        "odd: not audited: no answer",
    ]
