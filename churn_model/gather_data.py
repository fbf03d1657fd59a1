"""The customers of a mobile operator: where their rows come from, and what they have to look like."""

from churn_model import MODEL
from churn_model.customers import Generated
from common.data.dataset import Dataset
from common.data.schema import Category, Columns, Ignored, Number
from common.data.sources import FromEnvironment
from common.data.split import Fractions
from common.steps import gather


def _usage(when: str, most_minutes: float, most_calls: float) -> tuple[Number | Ignored, ...]:
    """Minutes, calls and charge; the charge is left out, since it is the minutes times a tariff."""
    return (
        Number(f"{when} Mins", at_least=0, at_most=most_minutes, decimals=6),
        Number(f"{when} Calls", at_least=0, at_most=most_calls, integer=True),
        Ignored(f"{when} Charge"),
    )


# Two files are published as churn.txt, in different units: 5,000 rows by AWS (up to 17 Day Mins, 550 Night Calls), and the
# 3,333 of Larose, Discovering Knowledge in Data (up to 351 and 175). The bounds admit every row of both. Minutes are rounded
# because a warehouse prints fewer digits than a file.
COLUMNS = Columns(
    (
        Category("State"),
        Number("Account Length", at_least=0, at_most=1000, integer=True),
        Category("Area Code"),
        Ignored("Phone"),
        Category("Int'l Plan", ("no", "yes")),
        Category("VMail Plan", ("no", "yes")),
        Number("VMail Message", at_least=0, at_most=2000, integer=True),
        *_usage("Day", 1000, 1000),
        *_usage("Eve", 1000, 1000),
        *_usage("Night", 1000, 1000),
        *_usage("Intl", 100, 100),
        Number("CustServ Calls", at_least=0, at_most=50, integer=True),
        Category("Churn?", ("False.", "True.")),
    ),
    label="Churn?",
)

QUERY = """\
SELECT state AS "State", account_length AS "Account Length", area_code AS "Area Code",
       CASE international_plan WHEN true THEN 'yes' WHEN false THEN 'no' END AS "Int'l Plan",
       CASE voice_mail_plan WHEN true THEN 'yes' WHEN false THEN 'no' END AS "VMail Plan",
       voice_mails AS "VMail Message",
       day_minutes AS "Day Mins", day_calls AS "Day Calls",
       evening_minutes AS "Eve Mins", evening_calls AS "Eve Calls",
       night_minutes AS "Night Mins", night_calls AS "Night Calls",
       international_minutes AS "Intl Mins", international_calls AS "Intl Calls",
       service_calls AS "CustServ Calls",
       CASE churned WHEN true THEN 'True.' WHEN false THEN 'False.' END AS "Churn?"
FROM customers
WHERE churned IS NOT NULL
"""
"""What a warehouse is asked: the columns above out of its table `customers`, where plans and `churned` are booleans.

A customer of whom is not known yet whether it leaves (`churned` is NULL) teaches nothing; any other NULL is refused as missing.
"""

DATA = Dataset(
    source=FromEnvironment("CHURN_SOURCE", default=Generated(), query=QUERY),
    columns=COLUMNS,
    # More test rows than usual: only a seventh of them churn, and with fewer the gate misses worse models.
    fractions=Fractions(train=0.65, validation=0.15, test=0.2),
)

if __name__ == "__main__":
    gather(MODEL, DATA)
