"""What a model has to be better than to be worth serving: guessing the mean, and a linear regression."""

from common.evaluation.metrics import Values


def baselines(train: Values, test: Values) -> dict[str, Values]:
    """Predictions of each baseline for the test rows, fitted on the training rows.

    Args:
        train: rows × (label, features…), as in the training file.
        test: the same columns.
    """
    # Imported here because scikit-learn takes most of a second.
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import LinearRegression

    models = {"linear": LinearRegression(), "mean": DummyRegressor(strategy="mean")}
    return {name: model.fit(train[:, 1:], train[:, 0]).predict(test[:, 1:]) for name, model in models.items()}
