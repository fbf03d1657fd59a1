"""Processing jobs: what a program finds, what becomes of what it leaves, and how the job ends."""



from tests.accounts import Account
from tests.functional.local.processing_support import (
    given,
    job_request,
    objects,
    printed,
    result,
    run_job,
)
from tests.functional.local.training_support import put

INPUT, OUTPUT = "/opt/ml/processing/input/raw", "/opt/ml/processing/output/made"

SHARE = """
import json, pathlib, sys
raw, made, resources = sys.argv[1:]
me = json.load(open(resources))
names = sorted(p.name for p in pathlib.Path(raw).iterdir())
for name in names:
    target = pathlib.Path(made) / "below" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text((pathlib.Path(raw) / name).read_text().upper())
print(json.dumps({"host": me["current_host"], "hosts": me["hosts"], "names": names}))
"""


def test_each_host_gets_its_part_and_what_all_leave_goes_to_s3(aws: Account) -> None:
    for name in "abc":
        put(aws, f"raw/part-{name}", name)
    request = job_request(
        aws,
        "split",
        SHARE,
        INPUT,
        OUTPUT,
        "/opt/ml/config/resourceconfig.json",
        instances=4,
        Inputs=[given(aws, "raw", "raw/", INPUT, S3DataDistributionType="ShardedByS3Key")],
        Outputs=[result(aws, "made", "made", OUTPUT)],
    )
    job = run_job(aws, request)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    hosts = [f"algo-{number}" for number in (1, 2, 3, 4)]
    shares = [["part-a"], ["part-b"], ["part-c"], []]  # the fourth finds its folder, empty
    assert [printed(aws, "split", host) for host in hosts] == [
        {"host": host, "hosts": hosts, "names": share} for host, share in zip(hosts, shares, strict=True)
    ]
    assert objects(aws, "made/") == {"below/part-a": b"A", "below/part-b": b"B", "below/part-c": b"C"}
