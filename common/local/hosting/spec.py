"""What a fleet is made of, resolved from an endpoint configuration and its models at the time of the deployment.

AWS serves on when a model or configuration that an endpoint uses is deleted; so the endpoint's document keeps this
resolved form, and a restart needs nothing else.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from common.local.api import validation_error
from common.local.hosting.capture import CaptureSpec

DEFAULT_STARTUP_SECONDS = 600
"""Time for the first healthy ping where the variant sets no `ContainerStartupHealthCheckTimeoutInSeconds`."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container of a model."""

    label: str
    """How messages call it: `primary`, its `ContainerHostname`, or `container_<n>`."""
    image: str
    model_data_url: str | None
    """The artifact, or the prefix of all artifacts of a multi-model container."""
    environment: dict[str, str]
    multi_model: bool = False
    keeps_models: bool = True
    """Whether a multi-model container keeps a model loaded after a request (`ModelCacheSetting`)."""


@dataclass(frozen=True)
class VariantSpec:
    """One production variant: its containers (several are a serial pipeline), size and weight."""

    name: str
    containers: tuple[ContainerSpec, ...]
    instances: int
    weight: float
    startup_seconds: int = DEFAULT_STARTUP_SECONDS
    role_arn: str | None = None
    """The model's execution role, as which its containers act."""
    isolated: bool = False
    """Whether its containers are cut off from the network (`EnableNetworkIsolation`)."""
    instance_type: str | None = None
    """A name only; None for serverless variants."""
    serverless: dict[str, int] | None = None
    """A serverless variant's `ServerlessConfig`."""


@dataclass(frozen=True)
class FleetSpec:
    """All variants of one endpoint configuration."""

    config_name: str
    variants: tuple[VariantSpec, ...]
    """Those that answer callers."""
    shadow: VariantSpec | None = None
    """Gets copies of the requests to the one production variant."""
    capture: CaptureSpec | None = None
    async_config: dict[str, Any] | None = None
    """The configuration's `AsyncInferenceConfig`: an asynchronous endpoint's."""

    @property
    def instances(self) -> int:
        """Of the variants that answer callers."""
        return sum(variant.instances for variant in self.variants)

    @property
    def is_serverless(self) -> bool:
        return any(variant.serverless for variant in self.variants)

    @property
    def all_variants(self) -> tuple[VariantSpec, ...]:
        return self.variants if self.shadow is None else (*self.variants, self.shadow)

    @property
    def shadow_share(self) -> float:
        """Share of the requests that the shadow variant gets a copy of: its weight relative to production's, at most all."""
        if self.shadow is None:
            return 0.0
        return min(1.0, self.shadow.weight / sum(variant.weight for variant in self.variants))

    def changed(self, counts: dict[str, int], weights: dict[str, float]) -> "FleetSpec":
        """The same fleet with other instance counts and weights, by variant name; variants not named keep theirs."""

        def altered(variant: VariantSpec) -> VariantSpec:
            return replace(
                variant,
                instances=counts.get(variant.name, variant.instances),
                weight=weights.get(variant.name, variant.weight),
            )

        return replace(
            self,
            variants=tuple(altered(variant) for variant in self.variants),
            shadow=self.shadow and altered(self.shadow),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "FleetSpec":
        """The spec that `to_json` wrote."""
        shadow, capture = document.get("shadow"), document.get("capture")
        return cls(
            document["config_name"],
            tuple(_variant_from_json(variant) for variant in document["variants"]),
            shadow and _variant_from_json(shadow),
            capture and CaptureSpec(**{name: _hashable(value) for name, value in capture.items()}),
            document.get("async_config"),
        )


def _variant_from_json(document: dict[str, Any]) -> VariantSpec:
    containers = tuple(ContainerSpec(**each) for each in document["containers"])
    return VariantSpec(**{**document, "containers": containers})


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def refuse_unsupported(config: dict[str, Any]) -> None:
    """Raise ValidationException for what an endpoint configuration asks of an endpoint that this AWS cannot do yet.

    Accepting it and serving without it would let a rollout pass here that means something else on AWS.
    """
    for member, name in {
        "ExplainerConfig": "online explanations",
    }.items():
        if config.get(member):
            raise _unsupported(name)
    for variant in [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]:
        for member, name in {
            "ManagedInstanceScaling": "managed instance scaling",
            "InstancePools": "instance pools",
        }.items():
            if variant.get(member):
                raise _unsupported(name)
        if "ModelName" not in variant:
            raise _unsupported("inference components (a production variant without a ModelName)")


def variant_spec(variant: dict[str, Any], model: dict[str, Any]) -> VariantSpec:
    """A variant of an endpoint configuration with its model's containers, each with `Image` resolved.

    Raises:
        ApiError: ValidationException for a kind of container that this AWS does not support.
    """
    if model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise _unsupported("direct invocation of one of several containers")
    described: list[dict[str, Any]] = model["ResolvedContainers"]
    if "ServerlessConfig" in variant:
        _check_serverless_model(model)
    return VariantSpec(
        name=variant["VariantName"],
        containers=tuple(_container(each, index, len(described)) for index, each in enumerate(described, 1)),
        instances=variant.get("InitialInstanceCount", 1),
        weight=variant.get("InitialVariantWeight", 1.0),
        startup_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS),
        role_arn=model.get("ExecutionRoleArn"),
        isolated=model.get("EnableNetworkIsolation", False),
        instance_type=variant.get("InstanceType"),
        serverless=variant.get("ServerlessConfig"),
    )


def _check_serverless_model(model: dict[str, Any]) -> None:
    """Raise ValidationException for a model that SageMaker does not serve serverless."""
    containers = model["ResolvedContainers"]
    excluded = {
        "inference pipelines": len(containers) > 1,
        "multi-model containers": any(each.get("Mode") == "MultiModel" for each in containers),
        "VPC configurations": "VpcConfig" in model,
        "network isolation": model.get("EnableNetworkIsolation"),
    }
    for what, has in excluded.items():
        if has:
            raise validation_error(f"Serverless variants do not support {what}.")


def _container(container: dict[str, Any], index: int, of: int) -> ContainerSpec:
    multi_model = container.get("Mode") == "MultiModel"
    if multi_model:
        _check_multi_model(container, of)
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source and source.get("CompressionType") != "Gzip":
        raise _unsupported("uncompressed model data (ModelDataSource without Gzip)")
    return ContainerSpec(
        label="primary" if of == 1 else container.get("ContainerHostname", f"container_{index}"),
        image=container["Image"],
        model_data_url=source["S3Uri"] if source else container.get("ModelDataUrl"),
        environment=container.get("Environment", {}),
        multi_model=multi_model,
        keeps_models=container.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled",
    )


def _check_multi_model(container: dict[str, Any], of: int) -> None:
    if of > 1:
        raise _unsupported("a multi-model container in an inference pipeline")
    if "ModelDataSource" in container:
        raise _unsupported("ModelDataSource for a multi-model container (only ModelDataUrl)")
    if "SAGEMAKER_PROGRAM" not in container.get("Environment", {}):
        raise _unsupported("a multi-model container without a script (SAGEMAKER_PROGRAM in its Environment)")


def _unsupported(what: str) -> Exception:
    return validation_error(f"This local AWS does not support {what} yet.")
