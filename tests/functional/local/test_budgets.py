"""Budgets on the local AWS: who is told, tags, changes."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account

TOLD = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}


def _budget(amount: str) -> dict[str, Any]:
    return {
        "BudgetName": "models",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": amount, "Unit": "USD"},
    }


def test_a_budget_says_who_is_told_and_keeps_that_and_its_tags_when_it_is_changed(aws: Account) -> None:
    budgets, named = aws.client("budgets"), {"AccountId": aws.account, "BudgetName": "models"}
    arn = {"ResourceARN": f"arn:aws:budgets::{aws.account}:budget/models"}
    subscriber = {"SubscriptionType": "SNS", "Address": f"arn:aws:sns:eu-west-1:{aws.account}:told"}
    budgets.create_budget(
        AccountId=aws.account,
        Budget=_budget("100"),
        NotificationsWithSubscribers=[{"Notification": TOLD, "Subscribers": [subscriber]}],
        ResourceTags=[{"Key": "made-by", "Value": "a test"}],
    )

    budgets.update_budget(AccountId=aws.account, NewBudget=_budget("200"))
    budgets.tag_resource(**arn, ResourceTags=[{"Key": "team", "Value": "models"}])
    budgets.untag_resource(**arn, ResourceTagKeys=["made-by"])

    assert budgets.describe_budget(**named)["Budget"]["BudgetLimit"]["Amount"] == "200"
    told = budgets.describe_subscribers_for_notification(**named, Notification=TOLD)
    assert told["Subscribers"] == [subscriber]
    assert budgets.list_tags_for_resource(**arn)["ResourceTags"] == [{"Key": "team", "Value": "models"}]


def test_a_budget_or_notification_that_is_not_there_is_not_found(aws: Account) -> None:
    budgets, named = aws.client("budgets"), {"AccountId": aws.account, "BudgetName": "models"}
    with pytest.raises(ClientError, match="NotFoundException"):
        budgets.update_budget(AccountId=aws.account, NewBudget=_budget("1"))
    budgets.create_budget(AccountId=aws.account, Budget=_budget("100"))
    with pytest.raises(ClientError, match="NotFoundException"):
        budgets.describe_subscribers_for_notification(**named, Notification=TOLD)
