"""xgboost without scikit-learn's wrappers: importing those takes three quarters of a container's start-up time."""

import importlib
import sys
from typing import Any


def import_xgboost() -> Any:
    """The xgboost module. Its import of scikit-learn is optional and is refused; others may import scikit-learn later."""
    absent = "sklearn" not in sys.modules
    if absent:
        sys.modules["sklearn"] = None  # type: ignore[assignment]  # what makes `import sklearn` raise ImportError
    try:
        return importlib.import_module("xgboost")
    finally:
        if absent:
            del sys.modules["sklearn"]
