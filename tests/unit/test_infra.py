"""The files of `infra/`, as far as they can be judged without Terraform."""

from common.model import ROOT

INFRA = ROOT / "infra"


def test_both_examples_take_the_same_variables_but_for_their_accounts() -> None:
    one, four = ((INFRA / "examples" / f"{name}/variables.tf").read_text() for name in ("one-account", "four-accounts"))

    common = 'variable "region"'
    assert one[one.index(common) :] == four[four.index(common) :]


def test_every_part_pins_the_same_provider_and_terraform() -> None:
    folders = sorted({path.parent for path in INFRA.rglob("*.tf")})

    for folder in folders:
        text = "".join(path.read_text() for path in folder.glob("*.tf"))
        assert 'required_version = ">= 1.10"' in text, folder
        assert 'version = "5.100.0"' in text, folder
    assert len(folders) == 6


def test_every_variable_and_output_says_what_it_means() -> None:
    for path in INFRA.rglob("*.tf"):
        for block in path.read_text().split("\n\n"):
            if block.startswith(('variable "', 'output "')):
                assert "description = " in block, f"{path}: {block}"
