"""The training program: fits the customers of this host's parts, scores each on its last weeks, and leaves its model.

Into the checkpoint folder it writes `models/<customer>.tar.gz`, and last of each part its results, `parts/<part>.json.gz`.
A job that is started again goes on with the parts that have none, and ends in the same fleet; parts that were scored beside
another champion are made again, so that all scores are beside the same one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import forecaster_from
from .artifacts import CustomerModel, DamagedModel, forecaster_digest, pack_model, pack_results, read_results
from .parallel import Failed, Stopped, for_each, say
from .readings import iso_date, read_part
from .scores import Holdout, forecast_at, hold_out, score, score_champion, unseen
from .series import Forecaster, Parameters, Series, Unfit

FORECASTER_FILE = "forecaster.json"
METRICS = {
    "fleet:customers": "customers",
    "fleet:set_aside": "set_aside",
    "fleet:mae": "mae",
    "fleet:mase": "mase",
    "fleet:naive_mae": "naive_mae",
    "fleet:coverage80": "coverage80",
    "fleet:coverage95": "coverage95",
}
"""The training job's metrics, and what each is called in the log: counts, and means over the customers of a host."""
_HORIZON = 366
_STOPPED_EXIT_CODE = 143

Champion = Mapping[str, Any]
"""A customer as the results of the fleet that serves now have it, and `forecaster`, the document of what fitted it."""


class Fitted(NamedTuple):
    """What became of a batch of customers.

    Attributes:
        models: the archive of each that was fitted.
        results: `customers`, of each that was fitted: what its model is and how good; `set_aside`: why each other was not.
    """

    models: dict[str, bytes]
    results: dict[str, Any]


class _Final(NamedTuple):
    series: Series
    parameters: Parameters


def fit_series(
    forecaster: Forecaster,
    series: Sequence[Series],
    holdout_days: int,
    champions: Mapping[str, Champion] | None = None,
) -> Fitted:
    """Fit customers, and score what their readings without the last `holdout_days` would have forecast of these.

    Args:
        champions: of the customers that are served now, what serves them; it is scored on the same readings, by the newest
            of its parameters that have not seen them.
    """
    documents = forecaster.to_json()
    finals, set_aside = _fit_all(forecaster, series)
    before, scores = _score_all(forecaster, finals, holdout_days)
    for customer in [customer for customer, found in scores.items() if found is None]:
        set_aside[customer] = "the forecast of its last readings is not finite"
    holdouts = {customer: hold_out(finals[customer].series, holdout_days) for customer in before}
    rivals = _score_champions(champions or {}, {name: holdouts[name] for name in scores if name not in set_aside})
    models, entries = {}, {}
    for customer, final in finals.items():
        if customer in set_aside:
            continue
        until = float(final.series.days[-1])
        models[customer] = pack_model(CustomerModel(customer, until, forecaster_digest(documents), final.parameters))
        entries[customer] = _artifact(models[customer]) | {
            "rows": len(final.series.days),
            "first": iso_date(float(final.series.days[0])),
            "last": iso_date(until),
            "until": until,
            "parameters": final.parameters,
            "before": before.get(customer),
            "before_until": float(holdouts[customer].before.days[-1]) if customer in before else None,
            "holdout": scores.get(customer),
            "champion": rivals.get(customer),
        }
    return Fitted(models, {"customers": entries, "set_aside": set_aside, "forecaster": documents})


def _fit_all(forecaster: Forecaster, series: Sequence[Series]) -> tuple[dict[str, _Final], dict[str, str]]:
    """(the customers that could be fitted on all their readings; why the others could not)."""
    finals: dict[str, _Final] = {}
    set_aside: dict[str, str] = {}
    for one, parameters in zip(series, forecaster.fit(series), strict=True):
        if isinstance(parameters, Unfit):
            set_aside[one.customer] = parameters.reason
        else:
            finals[one.customer] = _Final(one, parameters)
    ahead = [final.series.days[-1] + np.arange(1.0, _HORIZON + 1) for final in finals.values()]
    forecasts = forecast_at(forecaster, [final.parameters for final in finals.values()], ahead, 0.95)
    for customer, forecast in zip(list(finals), forecasts, strict=True):
        if not np.isfinite(forecast).all():
            del finals[customer]
            set_aside[customer] = "its forecast is not finite"
    return finals, set_aside


def _score_all(
    forecaster: Forecaster, finals: Mapping[str, _Final], holdout_days: int
) -> tuple[dict[str, Parameters], dict[str, dict[str, Any] | None]]:
    """(parameters fitted without the holdout; its scores) of each customer whose history is long enough for both."""
    holdouts = [hold_out(final.series, holdout_days) for final in finals.values()]
    holdouts = [holdout for holdout in holdouts if len(holdout.before.days)]
    fitted = forecaster.fit([holdout.before for holdout in holdouts])
    pairs = [(holdout, found) for holdout, found in zip(holdouts, fitted, strict=True) if not isinstance(found, Unfit)]
    names = [holdout.before.customer for holdout, _ in pairs]
    scores = score(forecaster, [found for _, found in pairs], [holdout for holdout, _ in pairs])
    parameters = {name: found for name, (_, found) in zip(names, pairs, strict=True)}
    return parameters, dict(zip(names, scores, strict=True))


def _score_champions(champions: Mapping[str, Champion], holdouts: Mapping[str, Holdout]) -> dict[str, dict[str, Any]]:
    """Of each customer that has a champion: its error on the holdout, or why it cannot be compared."""
    verdicts: dict[str, dict[str, Any]] = {}
    groups: dict[str, list[tuple[str, str, Parameters]]] = {}
    for customer, holdout in holdouts.items():
        if customer in champions:
            start = float(holdout.days[0])
            found = unseen(champions[customer], start)
            if found is None:
                verdicts[customer] = {"reason": f"it has seen readings from {iso_date(start)} on"}
            else:
                document = json.dumps(champions[customer]["forecaster"], sort_keys=True)
                groups.setdefault(document, []).append((customer, *found))
    for document, members in groups.items():
        try:
            errors = score_champion(
                forecaster_from(json.loads(document)),
                [parameters for _, _, parameters in members],
                [holdouts[customer] for customer, _, _ in members],
            )
        except (ValueError, KeyError, TypeError, ImportError) as error:  # a forecaster of another release
            for customer, _, _ in members:
                verdicts[customer] = {"reason": f"its parameters cannot be read: {error}"}
            continue
        for (customer, kind, _), mae in zip(members, errors, strict=True):
            verdicts[customer] = {"reason": "its forecast is not finite"} if mae is None else {"mae": mae, "kind": kind}
    return verdicts


def _artifact(archive: bytes) -> dict[str, Any]:
    return {
        "digest": hashlib.sha256(archive).hexdigest(),
        "md5": hashlib.md5(archive, usedforsecurity=False).hexdigest(),
        "bytes": len(archive),
    }


@dataclass(frozen=True)
class Champions:
    """The results of the fleet that serves now.

    Attributes:
        parts: in which file each customer is.
        digest: of the files, which tells this fleet from another; empty where there is none.
    """

    parts: Mapping[str, Path]
    digest: str

    @classmethod
    def open(cls, folder: Path | None) -> Champions:
        """Those of a folder of results; none without a folder."""
        files = sorted(folder.glob("part-*.json.gz")) if folder else []
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        return cls(
            {customer: path for path in files for customer in _results(path)["customers"]},
            hashlib.sha256("".join(digests).encode()).hexdigest() if digests else "",
        )

    def of(self, customers: Sequence[str]) -> dict[str, Champion]:
        """Those of these customers that it has."""
        found: dict[str, Champion] = {}
        for customer in customers:
            if customer in self.parts:
                results = _results(self.parts[customer])
                found[customer] = {**results["customers"][customer], "forecaster": results["forecaster"]}
        return found


@lru_cache(maxsize=2)  # customers come in the order of the parts, so that each is read about once
def _results(path: Path) -> dict[str, Any]:
    return read_results(path.read_bytes())


@dataclass(frozen=True)
class Shard:
    """The parts that this host has to fit, and where their models and results go.

    Attributes:
        champions: `Champions.digest` of those that the customers are scored beside.
    """

    parts: Sequence[Path]
    checkpoints: Path
    champions: str

    def results(self, part: Path) -> Path:
        return self.checkpoints / "parts" / f"{part.name.partition('.')[0]}.json.gz"

    def model(self, customer: str) -> Path:
        return self.checkpoints / "models" / f"{customer}.tar.gz"

    def is_done(self, part: Path) -> bool:
        """Whether an earlier attempt has fitted the part, and scored it beside the same champions.

        Its results may have been kept without all of its models.
        """
        try:
            results = read_results(self.results(part).read_bytes())
            return results.get("champions") == self.champions and all(
                hashlib.sha256(self.model(name).read_bytes()).hexdigest() == entry["digest"]
                for name, entry in results["customers"].items()
            )
        except (OSError, DamagedModel):
            return False

    def fit(self, part: Path, fit: Callable[[Sequence[Series]], Fitted]) -> None:
        """Fit the customers of a part; its results are written last."""
        fitted = fit(list(read_part(part.read_bytes())))
        for customer, archive in fitted.models.items():
            self.model(customer).write_bytes(archive)
        own = {"part": part.name.partition(".")[0], "champions": self.champions}
        self.results(part).write_bytes(pack_results(own | fitted.results))

    def summary(self) -> dict[str, float]:
        """The host's metrics."""
        scores: dict[str, list[float]] = {}
        customers = set_aside = 0
        for part in self.parts:
            results = read_results(self.results(part).read_bytes())
            customers, set_aside = customers + len(results["customers"]), set_aside + len(results["set_aside"])
            for entry in results["customers"].values():
                for name, value in (entry["holdout"] or {}).items():
                    if name in METRICS.values() and value is not None:
                        scores.setdefault(name, []).append(value)
        means = {name: float(np.mean(values)) for name, values in sorted(scores.items())}
        return {"customers": customers, "set_aside": set_aside, **means}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit this host's share; exits with another code than 0 when that cannot be done, or SIGTERM came before its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holdout_days", type=int, required=True)
    given = parser.parse_args(arguments)
    forecaster = forecaster_from(json.loads(Path(__file__).with_name(FORECASTER_FILE).read_text()))
    checkpoints = Path(os.environ["SM_MODEL_DIR"]).with_name("checkpoints")
    for name in ("models", "parts"):
        (checkpoints / name).mkdir(parents=True, exist_ok=True)
    champion = os.environ.get("SM_CHANNEL_CHAMPION")
    champions = Champions.open(Path(champion) if champion else None)
    parts = sorted(Path(os.environ["SM_CHANNEL_CUSTOMERS"]).glob("part-*.csv.gz"))
    shard = Shard(parts, checkpoints, champions.digest)
    wanted = [part for part in shard.parts if not shard.is_done(part)]
    say(
        f"{len(shard.parts)} parts, {len(shard.parts) - len(wanted)} of them done already; {len(champions.parts)} champions"
    )
    progress = partial(_fit_and_tell, shard, wanted, time.monotonic())

    def fit(series: Sequence[Series]) -> Fitted:
        return fit_series(forecaster, series, given.holdout_days, champions.of([one.customer for one in series]))

    try:
        for_each(partial(progress, fit), wanted)
    except Stopped:
        say("Stopped; when the job is started again, it goes on with the other parts")
        sys.exit(_STOPPED_EXIT_CODE)
    except Failed as error:
        sys.exit(str(error))
    for name, value in shard.summary().items():
        say(f"fleet-{name}={value:.6g}")


def _fit_and_tell(
    shard: Shard, wanted: Sequence[Path], start: float, fit: Callable[[Sequence[Series]], Fitted], part: Path
) -> None:
    begun = time.monotonic()
    shard.fit(part, fit)
    now, results = time.monotonic(), read_results(shard.results(part).read_bytes())
    done = sum(shard.results(other).exists() for other in wanted)
    customers = len(results["customers"])
    say(
        f"{part.name}: {customers} customers fitted, {len(results['set_aside'])} set aside, "
        f"{customers / (now - begun):,.0f} a second; {done} of {len(wanted)} parts, "
        f"about {(now - start) / done * (len(wanted) - done):.0f} s left"
    )
