"""What moto's Budgets lack of what Terraform needs: who is told of a budget, its tags, and changing it."""

import json
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.models import Budget
from moto.budgets.responses import BudgetsResponse

_create_budget = BudgetsResponse.create_budget


def mend_budgets() -> None:
    """Add what is missing, in this process."""
    response: Any = BudgetsResponse
    response.create_budget = _create
    response.update_budget = _update
    response.describe_subscribers_for_notification = _subscribers
    response.list_tags_for_resource = _list_tags
    response.tag_resource = _tag
    response.untag_resource = _untag


def _create(self: BudgetsResponse) -> str:
    answer = _create_budget(self)
    made = _budget(self, self._get_param("Budget")["BudgetName"])
    made.tags = {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags", [])}
    return answer


def _update(self: BudgetsResponse) -> str:
    wanted = self._get_param("NewBudget")
    found = _budget(self, wanted["BudgetName"])
    found.budget = {"TimePeriod": found.budget["TimePeriod"]} | wanted
    return "{}"


def _subscribers(self: BudgetsResponse) -> str:
    wanted = self._get_param("Notification")
    for notification in _budget(self, self._get_param("BudgetName")).notifications:
        if notification.details == wanted:
            return json.dumps({"Subscribers": notification.subscribers})
    raise NotFoundException("Unable to get subscribers - the notification doesn't exist.")


def _list_tags(self: BudgetsResponse) -> str:
    tags = _tags(self)
    return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]})


def _tag(self: BudgetsResponse) -> str:
    _tags(self).update({tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags")})
    return "{}"


def _untag(self: BudgetsResponse) -> str:
    for key in self._get_param("ResourceTagKeys"):
        _tags(self).pop(key, None)
    return "{}"


def _tags(self: BudgetsResponse) -> dict[str, str]:
    tags: dict[str, str] = _budget(self, self._get_param("ResourceARN").partition(":budget/")[2]).tags
    return tags


def _budget(self: BudgetsResponse, name: str) -> Any:
    budgets = self.backend.budgets[self.current_account]
    if name not in budgets:
        raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
    found: Budget = budgets[name]
    return found
