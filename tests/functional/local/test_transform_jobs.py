"""Transform jobs: objects in, objects out, in real containers."""

from tests.accounts import Account
from tests.functional.local.training_support import put
from tests.functional.local.transform_support import job_request, log_lines, make_model, outputs, run_job


def test_every_object_comes_out_beside_its_key(aws: Account) -> None:
    make_model(aws, "sums")
    put(aws, "in/a.csv", "1,2\n3,4\n")
    put(aws, "in/below/b.csv", "5,6")
    job = run_job(aws, job_request(aws, "plain"))
    assert job["TransformJobStatus"] == "Completed", (job.get("FailureReason"), log_lines(aws, "plain"))
    assert outputs(aws, "plain") == {"a.csv.out": "3.0\n7.0\n", "below/b.csv.out": "11.0\n"}
