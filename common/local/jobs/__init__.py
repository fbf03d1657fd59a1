"""Jobs that run containers to their end: inputs from S3, real processes, logs, metrics, artifacts to S3."""
