"""What jobs, models and endpoints do as their execution role: taking it on, reading and writing S3, using keys of KMS."""
