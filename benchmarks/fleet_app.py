"""The yardstick of `fleet_serving`: the same models behind FastAPI, answered by the same handlers.

`uvicorn benchmarks.fleet_app:app`, with `FLEET_CODE` the unpacked code archive and `FLEET_MODELS` a folder of folders, one
for each customer. All models are loaded at the start.
"""

import importlib
import os
import sys
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response

sys.path.insert(0, os.environ["FLEET_CODE"])
inference = importlib.import_module("inference")
models = {folder.name: inference.model_fn(str(folder)) for folder in Path(os.environ["FLEET_MODELS"]).iterdir()}


async def ping() -> None:
    """Whether it is up."""


async def invoke(customer: str, request: Request) -> Response:
    """A forecast. Not in a thread of the pool: it takes less time than to hand it over."""
    if customer not in models:
        raise HTTPException(404, f"There is no model of customer {customer}.")
    wanted = inference.input_fn((await request.body()).decode(), request.headers["content-type"])
    body, kind = inference.output_fn(inference.predict_fn(wanted, models[customer]), "application/json")
    return Response(body, media_type=kind)


app = FastAPI()
app.add_api_route("/ping", ping)
app.add_api_route("/models/{customer}/invoke", invoke, methods=["POST"])
