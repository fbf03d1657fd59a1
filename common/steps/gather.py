"""Gather: from the model's source of data to an immutable dataset in the bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.data.stored import Stored
from common.errors import UsageError
from common.model import Model
from common.steps.context import Context
from common.storage import Layout

if TYPE_CHECKING:
    from common.data.dataset import Dataset


def gather_data(context: Context, model: Model, dataset: Dataset, *, refresh: bool = False) -> str:
    """Gather, check and split the data, once for each source, and answer the data version.

    Args:
        refresh: gather again although this source has gathered before, because the data have grown.

    Raises:
        UsageError: the model's problem and its label do not fit.
        SourceError: the data cannot be read.
        DataError: they are not what the model declares. The bucket stays as it was.
    """
    if bool(dataset.columns.classes) != (model.problem == "binary_classification"):
        raise UsageError(
            f"{model.name} is declared a {model.problem}, but its label '{dataset.columns.label}' is not of that kind.",
            "A regression's label is a Number, a binary_classification's a Category of two values.",
        )
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    version = context.gathered(model, source)
    if version and not refresh:
        context.say(f"{model.name}: source {source} has gathered data {version} already")
        stored = Stored.open(context.bucket, model.name, version)
        if stored and stored.manifest["source"] != dataset.source.description:
            context.say(
                f"  warning: that was from {stored.manifest['source']}; --refresh gathers from {dataset.source.description}"
            )
        return version
    context.say(f"{model.name}: gathering from {dataset.source.description}")
    prepared = dataset.prepare(dataset.read())
    for warning in prepared.manifest["warnings"]:
        context.say(f"  warning: {warning}")
    layout, bucket = Layout(model.name), context.bucket
    manifest_key = layout.data(prepared.version, "manifest.json")
    if bucket.read(manifest_key) is None:
        files = [(layout.data(prepared.version, name), body) for name, body in prepared.files.items()]
        manifest = json.dumps(prepared.manifest, indent=2, sort_keys=True).encode()
        bucket.write_all(files, last=(manifest_key, manifest))
    if version != prepared.version:
        bucket.write_json(
            layout.source(source), {"data_version": prepared.version, "commit": context.checkout.commit()}
        )
    rows = ", ".join(f"{count:,} {name}" for name, count in prepared.manifest["rows"].items())
    context.say(
        f"{model.name}: data {prepared.version} ({rows} rows) in {bucket.uri(layout.data(prepared.version, ''))}"
    )
    return prepared.version
