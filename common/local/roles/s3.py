"""S3 as an execution role sees it: what its policies, the bucket's and the key's do not allow fails, as it does on AWS."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.local.access.callers import conditions
from common.local.access.guard import Need, require_all
from common.local.access.objects import kms_need, object_needs, upload_key
from common.local.api import ApiError
from common.local.context import LocalAws
from common.local.roles.keys import KeyUnusable, usable_key

_MULTIPART_BYTES = 8 << 20
"""What is larger goes up in parts, of which S3 reads the data key again: that takes kms:Decrypt, too."""


class S3Refused(Exception):
    """S3 does not do what the role asks; the text is S3's code and message, which name role, action and resource."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.message = message


@dataclass(frozen=True)
class RoleS3:
    """S3 for one execution role. Every method raises S3Refused where the role may not, and KeyError where nothing is."""

    aws: LocalAws = field(compare=False)
    account: str
    """Of the job or the endpoint, and of its role."""
    region: str
    role: str | None
    """ARN; None, for models without an execution role, stands for the account itself."""

    @property
    def principal(self) -> str:
        """Who asks, as policies see it."""
        return session_arn(self.role) if self.role else f"arn:aws:iam::{self.account}:root"

    def read(self, bucket: str, key: str) -> bytes:
        """The object's content."""
        self._require_object("s3:GetObject", bucket, key)
        return self.aws.services.read_object(self.account, bucket, key)

    def parts(self, bucket: str, key: str) -> Iterator[bytes]:
        """The object's content, piece by piece; KeyError also when it goes while it is read."""
        self._require_object("s3:GetObject", bucket, key)
        yield from self.aws.services.parts(self.account, bucket, key)

    def download(self, bucket: str, key: str, to: Path) -> None:
        """Write the object to a file."""
        self._require_object("s3:GetObject", bucket, key)
        self.aws.services.download(self.account, bucket, key, to)

    def size(self, bucket: str, key: str) -> int:
        """The object's size in bytes, for which its key is not needed."""
        self.aws.services.require_bucket(self.account, bucket)
        needs = object_needs(self.principal, "s3:GetObject", bucket, key)
        self._require(need for need in needs if not need.action.startswith("kms:"))
        return self.aws.services.object_size(self.account, bucket, key)

    def objects(self, bucket: str, prefix: str) -> list[tuple[str, int]]:
        """(key, size) of every object below the prefix, sorted by key."""
        self.aws.services.require_bucket(self.account, bucket)
        self._require([Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})])
        return self.aws.services.list_objects(self.account, bucket, prefix)

    def write(self, bucket: str, key: str, body: bytes, kms_key: str | None = None) -> None:
        """Create or replace the object, encrypted with the named key of KMS, or as the bucket says."""
        named = self._require_write(bucket, key, len(body), kms_key)
        self.aws.services.write_object(self.account, bucket, key, body, named)

    def upload(self, bucket: str, key: str, file: Path, kms_key: str | None = None) -> None:
        """As `write`, with a file's content."""
        named = self._require_write(bucket, key, file.stat().st_size, kms_key)
        self.aws.services.upload(self.account, bucket, key, file, named)

    def _require_write(self, bucket: str, key: str, size: int, kms_key: str | None) -> str | None:
        """ARN of the key that the request names, if the role may write with it."""
        named = self._usable(kms_key) if kms_key else ""
        header = "s3:x-amz-server-side-encryption"
        asked = {header: "aws:kms", f"{header}-aws-kms-key-id": named} if named else {}
        self._require_object("s3:PutObject", bucket, key, named, asked)
        used = upload_key(self.principal, bucket, named)
        if used and size > _MULTIPART_BYTES:
            self._require([kms_need("kms:Decrypt", used, f"arn:aws:s3:::{bucket}/{key}", self.principal)])
        return named or None

    def _require_object(
        self, action: str, bucket: str, key: str, named: str = "", asked: dict[str, str] | None = None
    ) -> None:
        self.aws.services.require_bucket(self.account, bucket)
        self._require(object_needs(self.principal, action, bucket, key, named, asked or {}))

    def _require(self, needs: Iterable[Need]) -> None:
        context = conditions(self.principal)
        for need in needs:
            try:
                require_all(self.aws, self.principal, [need], context)
            except ApiError as error:
                raise S3Refused("AccessDenied", error.message) from error
            if need.action.startswith("kms:"):
                self._usable(need.resource)

    def _usable(self, kms_key: str) -> str:
        try:
            return usable_key(self.account, self.region, kms_key)
        except KeyUnusable as error:
            raise S3Refused(f"KMS.{error.code}", str(error)) from error


def session_arn(role: str) -> str:
    """The session of a role as which SageMaker acts: policies and messages see this."""
    _, _, _, _, account, path = role.split(":", 5)
    return f"arn:aws:sts::{account}:assumed-role/{path.rpartition('/')[2]}/SageMaker"
