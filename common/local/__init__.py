"""An AWS and a CircleCI on this machine, for one user: real jobs, real endpoints, real pipelines, no account.

Nothing outside this package imports it; production code reaches it through `AWS_ENDPOINT_URL` alone.
"""
