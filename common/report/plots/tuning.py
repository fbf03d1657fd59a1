"""How a tuning job came to its best hyperparameters."""

from common.evaluation.tuning_summary import TuningSummary
from common.report.plots.chart import Figure, LineChart, Series


def tuning_figure(tuning: TuningSummary) -> Figure:
    """The objective of each training job in order, the best so far, and the best of each parent."""
    scored = [(i, trial.objective) for i, trial in enumerate(tuning.trials, start=1) if trial.objective is not None]
    ends = (0.5, len(tuning.trials) + 0.5)
    best = tuning.running_best()
    series = [
        Series("training job", [i for i, _ in scored], [value for _, value in scored], "model", "points"),
        Series("best so far", [*(i for i, _ in best), ends[1]], [*(v for _, v in best), best[-1][1]], "model", "steps")
        if best
        else Series("", (), ()),
        *(Series(f"parent {parent.name}", ends, [parent.best] * 2, "reference") for parent in tuning.parents),
    ]
    step = max(1, len(tuning.trials) // 10)
    ticks = [(i, str(i)) for i in range(1, len(tuning.trials) + 1, step)]
    chart = LineChart("Tuning", series, "training job", tuning.metric, ends, x_ticks=ticks)
    return Figure(chart, f"{'Higher' if tuning.maximize else 'Lower'} is better.")
