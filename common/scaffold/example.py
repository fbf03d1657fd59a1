"""Made-up deliveries: what a new model is trained on until it gets data of its own."""

import csv
import io
import math
import random
from collections.abc import Iterator

ROWS = 1000
_CARRIERS = ("bike", "truck", "van")
_FERRY_DAYS = {"north": 0.0, "east": 0.0, "south": 0.3, "west": 0.6, "islands": 1.5}


def example(target: str) -> str:
    """The deliveries as CSV with a header, the target last: `days` that each took, or whether it was `late` (no, yes).

    Always the same rows. Days grow with the distance; beyond 300 km a bike hands over to another, light parcels wait for
    a full truck, and a van makes several rounds for more than five parcels. So what matters depends on the carrier, which
    trees find and a linear model does not. A delivery is late when it is drawn so: the likelier, the more than three days
    it is expected to take. One in twenty was not weighed.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["weight_kg", "distance_km", "parcels", "carrier", "region", target])
    writer.writerows(_rows(target))
    return out.getvalue()


def _rows(target: str) -> Iterator[tuple[object, ...]]:
    chance = random.Random(7)  # noqa: S311 - an example, not a secret
    for _ in range(ROWS):
        weight, distance = round(chance.uniform(0.1, 30), 1), chance.randint(5, 800)
        parcels, carrier, region = chance.randint(1, 9), chance.choice(_CARRIERS), chance.choice([*_FERRY_DAYS])
        waits = {"bike": distance > 300, "truck": weight / parcels < 3, "van": parcels > 5}[carrier]
        expected = 0.5 + distance / 500 + _FERRY_DAYS[region] + 2.5 * waits
        late = chance.random() < 1 / (1 + math.exp(2.5 * (3 - expected)))
        days = max(0.1, round(chance.gauss(expected, 0.5), 1))
        weighed = weight if chance.random() < 0.95 else ""
        yield weighed, distance, parcels, carrier, region, {"days": days, "late": "yes" if late else "no"}[target]
