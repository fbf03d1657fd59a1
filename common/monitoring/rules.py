"""When windows add up to a reason to retrain: k of the last n, so that a single odd one does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from common.errors import UsageError

from .findings import Findings

Reason = Literal["", "drift", "degraded"]


@dataclass(frozen=True)
class Rule:
    """Retrain once `windows` of the last `of` windows have drifted, or as many have degraded."""

    windows: int = 3
    of: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.windows <= self.of:
            raise UsageError(
                f"{self.windows} of the last {self.of} windows can never be.", "Declare e.g. Rule(windows=3, of=5)."
            )


@dataclass(frozen=True)
class WindowResult:
    """What one window says about retraining."""

    id: str
    drifted: bool
    degraded: bool
    broken: bool

    @classmethod
    def of(cls, id: str, findings: Findings) -> WindowResult:
        return cls(id, findings.drifted, findings.degraded, findings.broken)


@dataclass(frozen=True)
class Decision:
    """Whether to retrain.

    Attributes:
        reason: empty where there is none.
        windows: ids of the windows that count towards the reason; where there is none, towards the nearest one.
        words: the decision in a sentence.
    """

    retrain: bool
    reason: Reason
    windows: tuple[str, ...]
    words: str


def decide(history: Sequence[WindowResult], rule: Rule) -> Decision:
    """Whether the windows of the package that serves, the oldest first, add up to a reason to retrain.

    A broken window says nothing: its data are to be mended where they come from. A window whose job failed is no window.
    """
    sound = [window for window in history if not window.broken][-rule.of :]
    enough = f"{rule.windows} of {rule.of} are a reason"
    found: dict[Reason, tuple[str, ...]] = {
        "degraded": tuple(window.id for window in sound if window.degraded),
        "drift": tuple(window.id for window in sound if window.drifted),
    }
    for reason, windows in found.items():
        if len(windows) >= rule.windows:
            return Decision(True, reason, windows, f"{_told(reason, windows, len(sound))}: {', '.join(windows)}")
    if not sound:
        return Decision(False, "", (), f"no sound window has been looked at yet; {enough}")
    reason, windows = max(found.items(), key=lambda item: len(item[1]))
    last = f"the last {len(sound)} windows" if len(sound) > 1 else "the last window"
    told = _told(reason, windows, len(sound)) if windows else f"nothing had changed in {last}"
    return Decision(False, "", windows, f"{told}; {enough}")


def _told(reason: Reason, windows: Sequence[str], of: int) -> str:
    what = "predictions were worse" if reason == "degraded" else "data had drifted"
    return f"{what} in {len(windows)} of the last {of} windows"
