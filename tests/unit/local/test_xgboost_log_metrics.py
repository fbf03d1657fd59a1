from common.local.jobs.metrics import MetricReader, as_logged

LINE = "[3]\ttrain-rmse:2.10000\tvalidation-rmse:2.30000"


def test_a_tab_is_logged_as_its_octal_code() -> None:
    assert as_logged(LINE) == "[3]#011train-rmse:2.10000#011validation-rmse:2.30000"


def test_the_built_in_definitions_read_every_metric_of_both_channels() -> None:
    reader = MetricReader([], built_in=True)
    found = reader.read([as_logged(LINE), as_logged("[4]\ttrain-rmse:2\ttrain-mlogloss:1e-3\tvalidation-rmse:2.2")])
    assert found == {"train:rmse": [2.1, 2.0], "validation:rmse": [2.3, 2.2], "train:mlogloss": [0.001]}


def test_the_last_value_of_a_metric_is_final() -> None:
    reader = MetricReader([], built_in=True)
    reader.read([as_logged("[0]\tvalidation-rmse:3")])
    reader.read([as_logged("[1]\tvalidation-rmse:2")])
    (metric,) = reader.final
    assert (metric["MetricName"], metric["Value"]) == ("validation:rmse", 2.0)


def test_own_definitions_read_their_first_group_and_built_in_ones_are_for_the_algorithm_only() -> None:
    reader = MetricReader([{"Name": "loss", "Regex": "loss=([0-9.]+)"}], built_in=False)
    assert reader.read(["epoch 1 loss=0.5 done", as_logged(LINE)]) == {"loss": [0.5]}


def test_a_match_that_is_no_number_is_passed_over() -> None:
    reader = MetricReader([{"Name": "loss", "Regex": "loss=(.*)"}], built_in=False)
    assert reader.read(["loss=unknown", "loss=nan", "loss=inf"]) == {}
    assert reader.final == []


def test_of_alternatives_in_a_definition_the_one_that_matches_is_read() -> None:
    reader = MetricReader([{"Name": "score", "Regex": r"loss=(\S+)|cost=(\S+)"}], built_in=False)
    assert reader.read(["cost=3", "loss=2"]) == {"score": [3.0, 2.0]}
