"""Who may do what in the local AWS: IAM's rules, evaluated on the documents that IAM, S3, KMS and SageMaker hold.

The pure part, which needs no server:

    policy = parse_policy(text)                      # `policy`: any policy document; PolicyError when it is none
    principal = Principal(role_arn)                  # `decision`: also of a session, a user, an account's root, a service
    decided = decide(principal, "s3:GetObject", arn, {"aws:securetransport": "true"}, identity=[policy])
    decided.allowed, decided.effect, decided.message # the message is worded as in AWS's AccessDenied

The part on a running local AWS, `guard`:

    allowed(aws, principal_arn, action, resource_arn, context) -> bool
    require(aws, principal_arn, action, resource_arn, context)       # raises ApiError AccessDenied(Exception)
    trusts(role_arn, "sagemaker.amazonaws.com") -> bool              # `sessions`
    role_session(role_arn) -> Credentials                            # keys that act as the role, for containers
    object_needs(principal_arn, action, bucket, key) -> Needs        # `objects`: with what its encryption needs of KMS

A principal is the ARN of a role or of a session, or a service's name. Roles that IAM does not have, roles without any
policy, and whoever is no role are administrators of their account; what buckets and keys say holds for them, too.
"""
