"""The customers that are made up, and the published form of their data, read or refused."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from churn_model import customers
from churn_model.customers import Customers, Generated, ceiling, churn, draw, probabilities
from churn_model.gather_data import COLUMNS, DATA
from common.data.formats import parse
from common.data.schema import Ignored
from common.errors import DataError

FIXTURE = Path(__file__).parents[1] / "fixtures/churn.txt"
HEADER = (
    "State,Account Length,Area Code,Phone,Int'l Plan,VMail Plan,VMail Message,Day Mins,Day Calls,Day Charge,Eve Mins,Eve Calls,"
    "Eve Charge,Night Mins,Night Calls,Night Charge,Intl Mins,Intl Calls,Intl Charge,CustServ Calls,Churn?"
)
BY_AWS = """\
PA,163,806,403-2562,no,yes,300,8.1622040217391,3,7.579173703343681,3.9330349941938625,4,6.508638877091394,4.065759457683862,100,\
5.1116239145545554,4.9281602056057885,6,5.673203040696216,3,True.
SC,15,836,158-8416,yes,no,0,10.018992664834252,4,4.226288822198435,2.3250045529370977,0,9.97259241534841,7.141039871521733,200,\
6.436187619334115,3.2217476231887012,6,2.559749162329034,8,False.
"""
BY_LAROSE = """\
KS,128,415,382-4657,no,yes,25,265.100000,110,45.070000,197.400000,99,16.780000,244.700000,91,11.010000,10.000000,3,2.700000,1,\
False.
"""
FORM = re.compile(
    r"[A-Z]{2},\d+,\d{3},\d{3}-\d{4},(yes|no),(yes|no),\d+,"
    r"(\d+\.\d+(e-\d+)?,\d+,\d+\.\d+(e-\d+)?,){4}\d+,(True|False)\.",
)


@pytest.fixture(scope="module")
def published() -> bytes:
    return FIXTURE.read_bytes()


def read(content: bytes) -> pd.DataFrame:
    return COLUMNS.check(parse(content, COLUMNS)).frame.reset_index(drop=True)


def refusal(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(content)
    return caught.value.what


def replaced(published: bytes, line: int, old: str, new: str) -> bytes:
    """The file with one line changed, counted from 1."""
    lines = published.decode().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "".join(lines).encode()


def without_column(published: bytes, name: str) -> bytes:
    rows = list(csv.reader(io.StringIO(published.decode())))
    position = rows[0].index(name)
    return "".join(",".join(row[:position] + row[position + 1 :]) + "\n" for row in rows).encode()


def test_the_rows_have_the_published_header_and_the_forms_of_the_published_rows() -> None:
    header, *lines = Generated().read().decode().splitlines()
    assert header == HEADER
    assert len(lines) == 5000
    assert [line for line in [*BY_AWS.splitlines(), *BY_LAROSE.splitlines(), *lines] if not FORM.fullmatch(line)] == []
    assert len({line[:2] for line in lines}) == 51


def test_the_description_says_that_the_customers_are_made_up() -> None:
    assert DATA.source.description.startswith("5,000 SYNTHETIC customers")


def test_the_fixture_is_what_the_generator_makes(published: bytes) -> None:
    assert published == Generated(rows=40).read()


def test_the_data_version_is_the_same_on_every_machine() -> None:
    prepared = DATA.prepare(DATA.read())
    assert prepared.manifest["rows"] == {"train": 3256, "validation": 778, "test": 966}
    assert prepared.manifest["warnings"] == []
    assert prepared.version == "9a29ccc022079acb"


def test_fourteen_percent_churn() -> None:
    customers = draw(20_000, seed=3)
    assert probabilities(customers).mean() == pytest.approx(0.14, abs=0.005)
    assert read(Generated().read())["Churn?"].eq("True.").mean() == pytest.approx(0.14, abs=0.01)


def test_the_ceiling_is_what_the_true_probabilities_reach_on_average() -> None:
    chances = probabilities(draw(5000, Generated().seed))
    drawn = [churn(chances, seed) for seed in range(40)]
    found = {
        "roc_auc": [roc_auc_score(truth, chances) for truth in drawn],
        "log_loss": [log_loss(truth, chances) for truth in drawn],
    }
    for metric, values in found.items():
        assert abs(np.mean(values) - ceiling(chances)[metric]) < 3 * np.std(values) / 40**0.5
    told = ", ".join(f"{name} {ceiling(chances)[metric]:.2f}" for name, metric in
                     (("ROC AUC", "roc_auc"), ("log loss", "log_loss")))  # fmt: skip
    assert told in (customers.__doc__ or "")


TYPICAL = {
    "State": "KS", "Account Length": 100, "Area Code": "657", "Int'l Plan": "no", "VMail Plan": "yes", "Day Mins": 5.0,
    "Eve Mins": 5.0, "Night Calls": 200, "Intl Calls": 6, "CustServ Calls": 5,
}  # fmt: skip


def odds(**differs: object) -> float:
    """The logarithm of the odds that a typical customer leaves who differs in that."""
    record = TYPICAL | {
        name.replace("_", " ").replace("Intl Plan", "Int'l Plan"): value for name, value in differs.items()
    }
    customer: Customers = {name: np.array([value]) for name, value in record.items()}
    chance = probabilities(customer)[0]
    return float(np.log(chance / (1 - chance)))


def test_calls_to_customer_service_count_from_the_seventh_on_and_less_for_those_who_call_much_by_day() -> None:
    assert odds(CustServ_Calls=0) == odds(CustServ_Calls=6)
    steps = [odds(CustServ_Calls=n + 1) - odds(CustServ_Calls=n) for n in (6, 7, 8)]
    assert min(steps) > 1
    assert odds(CustServ_Calls=9, Day_Mins=9) - odds(Day_Mins=9) < 0.5 * (odds(CustServ_Calls=9) - odds())


def test_much_calling_by_day_matters_without_a_voice_mail_plan_only() -> None:
    assert odds(Day_Mins=12) == pytest.approx(odds())
    assert odds(Day_Mins=12, VMail_Plan="no") > odds(VMail_Plan="no") + 3


def test_an_international_plan_drives_out_those_who_make_few_international_calls_and_keeps_the_others() -> None:
    assert odds(Intl_Calls=3) == odds()
    assert odds(Intl_Plan="yes", Intl_Calls=3) > odds() + 2
    assert odds(Intl_Plan="yes") < odds() - 1


def test_new_accounts_are_at_risk() -> None:
    assert odds(Account_Length=1) - odds(Account_Length=60) > 1
    assert odds(Account_Length=60) - odds(Account_Length=200) < 0.2


def test_a_quiet_evening_and_a_quiet_night_matter_together_only() -> None:
    assert odds(Eve_Mins=2) == odds(Night_Calls=50) == odds()
    assert odds(Eve_Mins=2, Night_Calls=50) > odds() + 2


def test_states_and_area_codes_differ() -> None:
    assert len({odds(State=state) for state in ("KS", "NY", "CA")}) == 3
    assert odds(Area_Code="777") > odds()


def test_the_published_rows_of_both_files_are_admitted_as_they_are() -> None:
    rows = read(f"{HEADER}\n{BY_AWS}{BY_LAROSE}".encode())
    assert rows["Day Mins"].tolist() == [8.162204, 10.018993, 265.1]
    assert rows["Churn?"].tolist() == ["True.", "False.", "False."]
    assert rows["Area Code"].tolist() == ["806", "836", "415"]


def test_phone_numbers_and_charges_are_not_kept(published: bytes) -> None:
    ignored = {column.name for column in COLUMNS.columns if isinstance(column, Ignored)}
    assert ignored == {"Phone", "Day Charge", "Eve Charge", "Night Charge", "Intl Charge"}
    assert not ignored & set(read(published).columns)
    assert read(without_column(published, "Phone")).equals(read(published))


@pytest.mark.parametrize("what", ["blank lines", "BOM", "CRLF", "quoted fields", "spaces after commas", "no header"])
def test_another_form_of_the_same_rows_reads_the_same(published: bytes, what: str) -> None:
    quoted = io.StringIO()
    csv.writer(quoted, quoting=csv.QUOTE_ALL).writerows(csv.reader(io.StringIO(published.decode())))
    content = {
        "blank lines": b"\n" + published.replace(b"True.\n", b"True.\n\n  \n") + b"\n\n",
        "BOM": b"\xef\xbb\xbf" + published,
        "CRLF": published.replace(b"\n", b"\r\n"),
        "quoted fields": quoted.getvalue().encode(),
        "spaces after commas": published.replace(b",", b", "),
        "no header": published.split(b"\n", 1)[1],
    }[what]
    assert content != published
    assert read(content).equals(read(published))


@pytest.mark.parametrize(
    ("line", "old", "new", "told"),
    [
        (3, "alse.\n", "alse\n", "column 'Churn?': none of False., True. in 1 of 40 rows: 'False' at line 3"),
        (3, "False.\n", "\n", "column 'Churn?': missing in 1 of 40 rows: '' at line 3"),
        (2, ",yes,", ",Yes,", "column 'Int'l Plan': none of no, yes in 1 of 40 rows: 'Yes' at line 2"),
        (1, "Int'l", "Intl", "missing columns: Int'l Plan"),
        (1, "Int'l", "Intl", "unexpected columns: Intl Plan"),
        (1, "Eve Mins", "Day Mins", "repeated columns: Day Mins"),
        (2, "0.4292706857730204", "-0.8", "column 'Day Mins': below 0 in 1 of 40 rows: '-0.8' at line 2"),
        (2, "0.4292706857730204", "8.2.3", "column 'Day Mins': no number in 1 of 40 rows: '8.2.3' at line 2"),
        (2, "0.4292706857730204", "no", "column 'Day Mins': a boolean where a number is wanted in 1 of 40 rows: 'no' at line 2"),
        (2, ",70,", ",70.5,", "column 'Account Length': not whole in 1 of 40 rows: '70.5' at line 2"),
        (2, "UT,", ",", "column 'State': missing in 1 of 40 rows: '' at line 2"),
        (3, "False.\n", "False.,1\n", "1 lines do not have the 21 values of a row: line 3 has 22"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_line_its_column_and_its_value(
    published: bytes, line: int, old: str, new: str, told: str
) -> None:
    assert told in refusal(replaced(published, line, old, new))


@pytest.mark.parametrize("name", ["State", "CustServ Calls", "Churn?"])
def test_a_column_that_is_missing_is_named(published: bytes, name: str) -> None:
    assert f"missing columns: {name}" in refusal(without_column(published, name))


def test_a_column_that_is_not_declared_is_named(published: bytes) -> None:
    extended = published.replace(b"\n", b",1\n").replace(b"Churn?,1", b"Churn?,Tenure")
    assert "unexpected columns: Tenure" in refusal(extended)


@pytest.mark.parametrize(
    ("cut", "told"),
    [(2, "'False' at line 41"), (9, "line 41 has 20"), (60, "lines do not have the 21 values of a row: line 41 has")],
)
def test_a_last_line_that_was_cut_off_is_refused(published: bytes, cut: int, told: str) -> None:
    assert told in refusal(published[:-cut])


def test_several_faults_are_told_at_once(published: bytes) -> None:
    told = refusal(replaced(replaced(published, 3, "alse.\n", "alse\n"), 2, "UT,", ","))
    assert "column 'State'" in told
    assert "column 'Churn?'" in told


def test_a_column_that_gives_the_churn_away_is_refused(published: bytes) -> None:
    rows = DATA.read()
    rows["Account Length"] = np.where(rows["Churn?"] == "True.", "0", rows["Account Length"])
    with pytest.raises(DataError, match=r"Account Length: at least (9.|100)% of the label"):
        DATA.prepare(rows)
