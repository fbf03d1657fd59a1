"""AWS's own images in its registry, ECR: which digest a tag stands for. No image is ever pulled."""

from common.local.api import Answer, ApiError, Call, ecr_operation
from common.local.containers import UnknownImage, program


@ecr_operation
def batch_get_image(call: Call) -> Answer:
    """The digests of the images that this machine plays, by tag or digest, in the registries of AWS's accounts."""
    registry, repository = call.request.get("registryId", call.account), call.request["repositoryName"]
    try:
        program(f"{registry}/{repository}")
    except UnknownImage:
        registry = call.account
    if registry == call.account:  # of which the local AWS keeps no repositories
        raise ApiError(
            "RepositoryNotFoundException",
            f"The repository with name '{repository}' does not exist in the registry with id '{registry}'",
        )
    images, failures = [], []
    for asked in call.request["imageIds"]:
        name = f":{asked['imageTag']}" if "imageTag" in asked else f"@{asked.get('imageDigest', '')}"
        try:
            found = {"imageDigest": program(f"{registry}/{repository}{name}").digest}
        except UnknownImage:
            reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            failures.append({"imageId": asked, **reason})
        else:
            images.append({"registryId": registry, "repositoryName": repository, "imageId": {**asked, **found}})
    return {"images": images, "failures": failures}
