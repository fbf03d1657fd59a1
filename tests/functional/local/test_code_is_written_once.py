"""The policies of the buckets let nobody write over code, not even an account's administrator."""

import pytest
from botocore.exceptions import ClientError

from common.aws import Aws
from common.errors import ArtifactError
from common.local.accounts.layout import document
from common.settings import Settings
from common.storage import Bucket, Layout, split_uri
from common.training.code import pack, stored, verified
from tests.accounts import Account


@pytest.mark.parametrize("policy", ["bucket", "packages-bucket"])
def test_code_is_put_there_once_and_nothing_is_written_over_it(
    aws: Account, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    bucket, layout = Bucket(Aws(Settings.from_environment())), Layout("energy")
    admitted = [f"arn:aws:iam::{aws.account}:root"]
    values: dict[str, str | list[str]] = {
        "bucket": bucket.name,
        "key": f"arn:aws:kms:{aws.region}:{aws.account}:key/1",
        "train_accounts": admitted,
        "deploy_accounts": admitted,
    }
    bucket.aws.s3.put_bucket_policy(Bucket=bucket.name, Policy=document(policy, values))

    archive = pack({"split.py": b"print(1)"})
    for key in (layout.code, layout.batch_code, layout.monitoring_code):
        uri = stored(bucket, key, archive)
        with pytest.raises(ClientError, match=r"s3:PutObject.*explicit deny in a resource-based policy"):
            bucket.write(split_uri(uri)[1], b"mine")
        bucket.write_once(split_uri(uri)[1], b"mine")
        assert stored(bucket, key, archive) == uri
        assert verified(bucket, uri) == archive
    bucket.write("energy/code.tar.gz", b"anything")  # elsewhere objects are written as always
    bucket.aws.s3.delete_object(Bucket=bucket.name, Key=split_uri(uri)[1])
    with pytest.raises(ArtifactError, match="is missing"):
        verified(bucket, uri)
