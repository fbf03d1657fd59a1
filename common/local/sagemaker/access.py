"""Who may use model packages and their groups: by identity policies, and across accounts by the group's policy, too."""

from common.local.access.callers import conditions
from common.local.access.conditions import PolicyError
from common.local.access.guard import Need, evaluate
from common.local.access.policy import parse_policy
from common.local.api import ApiError, Call, validation_error


def check_group_policy(text: str) -> None:
    """Check that a text is the resource policy of a group.

    Raises:
        ApiError: it is no policy, or holds an element that is not evaluated here and would grant or deny silently.
    """
    try:
        statements = parse_policy(text)
    except PolicyError as error:
        raise validation_error(f"Invalid resource policy: {error}") from None
    for statement in statements:
        if statement.principals is None or statement.resources is None:
            raise validation_error("Invalid resource policy: a statement has no Principal or no Resource.")


def authorize(call: Call, action: str, *arns: str) -> None:
    """Check that the caller may do `action` on one of these ARNs, and is denied it on none.

    Raises:
        ApiError: `AccessDeniedException`.
    """
    context = call.conditions or conditions(call.caller)
    decided = [evaluate(call.aws, call.caller, Need(f"sagemaker:{action}", arn), context) for arn in arns]
    denied = [each for each in decided if each.effect == "explicit deny"]
    if denied or not any(each.allowed for each in decided):
        raise ApiError("AccessDeniedException", (denied or decided)[0].message)
