"""Endpoint configurations: which variants of which models an endpoint runs."""

import time
from typing import Any

from common.local.api import Answer, Call, operation, validation_error
from common.local.sagemaker.models import model
from common.local.sagemaker.resources import drop_tags, list_page, set_tags
from common.local.store import Document

KIND = "endpoint-config"


def endpoint_config(call: Call, name: str) -> Document:
    """The endpoint configuration of this name, as `DescribeEndpointConfig` answers it.

    Raises:
        ApiError: `ValidationException`, when there is none.
    """
    found = call.aws.store.get(call.scope, KIND, name)
    if found is None:
        raise validation_error(f'Could not find endpoint configuration "{call.arn(KIND, name)}".')
    return found


@operation
def create_endpoint_config(call: Call) -> Answer:
    """Create an endpoint configuration."""
    request = call.request
    name = request["EndpointConfigName"]
    arn = call.arn(KIND, name)
    _check_variants(call, request["ProductionVariants"], request.get("ShadowProductionVariants", []))
    _check_async(request)
    _check_serverless(request)
    document = {
        "EnableNetworkIsolation": False,
        **{member: value for member, value in request.items() if member != "Tags"},
        "ProductionVariants": [{"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]],
        "EndpointConfigArn": arn,
        "CreationTime": time.time(),
    }
    with call.aws.store.transaction():
        if call.aws.store.get(call.scope, KIND, name):
            raise validation_error(f'Cannot create already existing endpoint configuration "{arn}".')
        call.aws.store.put(call.scope, KIND, name, document)
        set_tags(call, arn, request.get("Tags", []))
    return {"EndpointConfigArn": arn}


def _check_variants(call: Call, production: list[dict[str, Any]], shadow: list[dict[str, Any]]) -> None:
    variants = [*production, *shadow]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation_error(f"Variant names must be unique: {', '.join(names)}.")
    if shadow and (len(production), len(shadow)) != (1, 1):
        raise validation_error("A shadow variant needs exactly one production variant, and only one can be given.")
    for variant in variants:
        _check_capacity(variant)
        if "ModelName" in variant:
            model(call, variant["ModelName"])


def _check_async(config: dict[str, Any]) -> None:
    """What an asynchronous endpoint writes to, and what it cannot be besides."""
    if "AsyncInferenceConfig" not in config:
        return
    if config.get("ShadowProductionVariants"):
        raise validation_error("Shadow variants are not supported for asynchronous inference.")
    if any("ServerlessConfig" in variant for variant in config["ProductionVariants"]):
        raise validation_error("AsyncInferenceConfig is not supported for serverless variants.")
    output = config["AsyncInferenceConfig"]["OutputConfig"]
    if "S3OutputPath" not in output:
        raise validation_error("This local AWS needs an S3OutputPath in the OutputConfig of AsyncInferenceConfig.")
    for member in ("S3OutputPath", "S3FailurePath"):
        if member in output and not output[member].startswith("s3://"):
            raise validation_error(f"{member} {output[member]} must be in S3: s3://bucket/prefix.")


def _check_serverless(config: dict[str, Any]) -> None:
    """The limits of serverless variants, and what an endpoint with one cannot have besides."""
    production, shadow = config["ProductionVariants"], config.get("ShadowProductionVariants", [])
    serverless = [variant["ServerlessConfig"] for variant in [*production, *shadow] if "ServerlessConfig" in variant]
    if not serverless:
        return
    if len(production) + len(shadow) > 1:
        raise validation_error("Serverless variants do not support multiple variants on one endpoint.")
    if config.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise validation_error("Serverless variants do not support data capture.")
    [limits] = serverless
    if limits["MemorySizeInMB"] % 1024:
        raise validation_error("MemorySizeInMB must be a multiple of 1024, up to 6144.")
    if limits.get("ProvisionedConcurrency", 0) > limits["MaxConcurrency"]:
        raise validation_error("ProvisionedConcurrency must be less than or equal to MaxConcurrency.")


def _check_capacity(variant: dict[str, Any]) -> None:
    """A variant runs on instances or serverless, never both."""
    on_instances = {"InstanceType", "InitialInstanceCount"} & set(variant)
    if "ServerlessConfig" in variant and on_instances:
        raise validation_error(f"Variant {variant['VariantName']} has ServerlessConfig and {sorted(on_instances)[0]}.")
    if "ServerlessConfig" not in variant and len(on_instances) < 2:
        raise validation_error(
            f"Variant {variant['VariantName']} needs InstanceType and InitialInstanceCount, or ServerlessConfig."
        )


@operation
def describe_endpoint_config(call: Call) -> Answer:
    """Describe an endpoint configuration."""
    return endpoint_config(call, call.request["EndpointConfigName"])


@operation
def list_endpoint_configs(call: Call) -> Answer:
    """List the account's endpoint configurations."""
    page = list_page(call, call.aws.store.list(call.scope, KIND), name="EndpointConfigName", descending=True)
    return {"EndpointConfigs": page.items, "NextToken": page.next_token}


@operation
def delete_endpoint_config(call: Call) -> Answer:
    """Delete an endpoint configuration, also one that an endpoint uses, as SageMaker lets you."""
    name = call.request["EndpointConfigName"]
    with call.aws.store.transaction():
        drop_tags(call, endpoint_config(call, name)["EndpointConfigArn"])
        call.aws.store.delete(call.scope, KIND, name)
    return {}
