"""Tuning jobs: what they search, how the next values are chosen, and the training jobs that try them."""
