"""What a model has to be better than to be worth serving: knowing the label's mean, and a line through the features."""

from typing import Any

from common.evaluation.metrics import Values
from common.model import ProblemType


def baselines(problem: ProblemType, train: Values, test: Values) -> dict[str, Values]:
    """Predictions of each baseline for the test rows, fitted on the training rows.

    A regression has `linear` and `mean`; a classification has `logistic`, a logistic regression on standardised features,
    and `prior`, which gives every row the share of positive labels.

    Args:
        train: rows × (label, features…), as in the training file.
        test: the same columns.
    """
    if problem == "regression":
        return {
            name: model.fit(train[:, 1:], train[:, 0]).predict(test[:, 1:]) for name, model in _regressors().items()
        }
    return {
        name: model.fit(train[:, 1:], train[:, 0]).predict_proba(test[:, 1:])[:, 1]
        for name, model in _classifiers().items()
    }


# scikit-learn is imported below because it takes most of a second.


def _regressors() -> dict[str, Any]:
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import LinearRegression

    return {"linear": LinearRegression(), "mean": DummyRegressor(strategy="mean")}


def _classifiers() -> dict[str, Any]:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return {"logistic": logistic, "prior": DummyClassifier(strategy="prior")}
