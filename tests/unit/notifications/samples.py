"""One event of each kind in the shape that AWS documents, for jobs and endpoints that failed.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html: `detail` has the same members, and
statuses have the same spelling; names and values are made up. Times are numbers, as they come; the documented events have some
in quotes. FailureReason, which only the event of a failed job has, quotes a password, which must reach nobody.
"""

from typing import Any

REASON = "AlgorithmError: postgresql://reader:hunter2@warehouse/sales refused the connection"
_CREATED, _ENDED = 1774223469050, 1774224469050


def event(detail_type: str, resource: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": detail_type,
        "source": "aws.sagemaker",
        "account": "111122223333",
        "time": "2026-03-22T23:51:09Z",
        "region": "eu-west-1",
        "resources": [f"arn:aws:sagemaker:eu-west-1:111122223333:{resource}"],
        "detail": detail,
    }


def _channel(name: str) -> dict[str, Any]:
    place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/{name}/", "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": place},
        "ContentType": "text/csv",
        "CompressionType": "None",
    }


def training(status: str = "Failed", secondary: str = "Failed", **hyperparameters: str) -> dict[str, Any]:
    name = "abalone-3f2a"
    detail = {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:111122223333:training-job/{name}",
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "FailureReason": REASON,
        "HyperParameters": {"max_depth": "5", **hyperparameters},
        "AlgorithmSpecification": {"TrainingImage": "1.dkr.ecr/xgboost:3.2-0", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::111122223333:role/jobs",
        "InputDataConfig": [_channel("train")],
        "OutputDataConfig": {"KmsKeyId": "", "S3OutputPath": "s3://bucket/abalone/training"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 20},
        "VpcConfig": {},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "CreationTime": _CREATED,
        "TrainingStartTime": _CREATED,
        "TrainingEndTime": _ENDED,
        "LastModifiedTime": _ENDED,
        "SecondaryStatusTransitions": [],
        "Tags": {},
    }
    return event("SageMaker Training Job State Change", f"training-job/{name}", detail)


def processing(status: str = "Failed") -> dict[str, Any]:
    name = "churn-monitor-20260321"
    place = {"S3Uri": "s3://bucket/in", "LocalPath": "/opt/ml/processing/input", "S3DataType": "S3_PREFIX"}
    detail = {
        "ProcessingInputs": [{"InputName": "window", "S3Input": place}],
        "ProcessingOutputConfig": {"Outputs": [], "KmsKeyId": "KmsKeyId"},
        "ProcessingJobName": name,
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 2000},
        "AppSpecification": {"ImageUri": "1.dkr.ecr/sagemaker-scikit-learn:1.4-2"},
        "NetworkConfig": {"EnableInterContainerTrafficEncryption": True, "EnableNetworkIsolation": False},
        "RoleArn": "arn:aws:iam::111122223333:role/jobs",
        "ExperimentConfig": {},
        "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:111122223333:processing-job/{name}",
        "ProcessingJobStatus": status,
        "FailureReason": REASON,
        "ProcessingEndTime": _ENDED,
        "ProcessingStartTime": _CREATED,
        "LastModifiedTime": _ENDED,
        "CreationTime": _CREATED,
    }
    return event("SageMaker Processing Job State Change", f"processing-job/{name}", detail)


def transform(status: str = "Failed") -> dict[str, Any]:
    name = "churn-batch-20260321"
    place = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/churn/batch/input/"}
    detail = {
        "TransformJobName": name,
        "TransformJobArn": f"arn:aws:sagemaker:eu-west-1:111122223333:transform-job/{name}",
        "TransformJobStatus": status,
        "FailureReason": REASON,
        "ModelName": "churn-model-7",
        "MaxConcurrentTransforms": 5,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "MultiRecord",
        "Environment": {"TOKEN": "hunter2"},
        "TransformInput": {"DataSource": {"S3DataSource": place}, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": "s3://bucket/churn/batch/", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "CreationTime": "2026-03-22T23:41:09Z",
        "TransformStartTime": "2026-03-22T23:44:09Z",
        "TransformEndTime": "2026-03-22T23:51:09Z",
        "Tags": {},
    }
    return event("SageMaker Transform Job State Change", f"transform-job/{name}", detail)


def tuning(status: str = "Failed") -> dict[str, Any]:
    name = "churn-3f2a-20260321"
    detail = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:111122223333:hyper-parameter-tuning-job/{name}",
        "TrainingJobDefinition": {
            "StaticHyperParameters": {},
            "AlgorithmSpecification": {"TrainingImage": "1.dkr.ecr/xgboost:3.2-0", "TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::111122223333:role/jobs",
            "InputDataConfig": [_channel("train")],
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": _CREATED,
        "LastModifiedTime": _ENDED,
        "TrainingJobStatusCounters": {
            "Completed": 0,
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": 2,
            "Stopped": 0,
        },
        "ObjectiveStatusCounters": {"Succeeded": 0, "Pending": 0, "Failed": 2},
        "Tags": {},
    }
    return event("SageMaker HyperParameter Tuning Job State Change", f"hyper-parameter-tuning-job/{name}", detail)


def endpoint(status: str = "ROLLING_BACK") -> dict[str, Any]:
    detail = {
        "EndpointName": "abalone",
        "EndpointArn": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/abalone",
        "EndpointConfigName": "abalone-model-7-1f2e",
        "ProductionVariants": [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}],
        "EndpointStatus": status,
        "CreationTime": float(_CREATED),
        "LastModifiedTime": float(_ENDED),
        "Tags": {},
    }
    return event("SageMaker Endpoint State Change", "endpoint/abalone", detail)


def deployment(status: str = "ROLLING_BACK") -> dict[str, Any]:
    detail: dict[str, Any] = endpoint(status)["detail"]
    baking = {"Status": "Baking", "StatusMessage": "Baking for 600 seconds.", "StartTime": _ENDED}
    variant = {"VariantName": "AllTraffic", "CurrentWeight": 1, "DesiredWeight": 1, "VariantStatus": [baking]}
    pending = {"EndpointConfigName": "abalone-model-8-1f2e", "StartTime": _CREATED, "ProductionVariants": [variant]}
    resource = "endpoint/abalone"
    return event("SageMaker Endpoint Deployment State Change", resource, detail | {"PendingDeploymentSummary": pending})


def model_package(status: str = "Rejected") -> dict[str, Any]:
    resource = "model-package/abalone/7"
    detail = {
        "ModelPackageGroupName": "abalone",
        "ModelPackageVersion": 7,
        "ModelPackageArn": f"arn:aws:sagemaker:eu-west-1:111122223333:{resource}",
        "CreationTime": "2026-03-22T23:51:09Z",
        "InferenceSpecification": {
            "Containers": [{"Image": "1.dkr.ecr/xgboost:3.2-0", "ModelDataUrl": "s3://bucket/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": status,
        "MetadataProperties": {"CommitId": "3f786850"},
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://bucket/e.json"}}
        },
        "ModelLifeCycle": {"Stage": "Development", "StageStatus": "Approved"},
        "UpdatedModelPackageFields": ["ModelApprovalStatus"],
        "LastModifiedTime": "2026-03-22T23:51:09Z",
    }
    return event("SageMaker Model Package State Change", resource, detail)
