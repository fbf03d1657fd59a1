"""Application Auto Scaling for the variants of endpoints: targets, policies, and activities that change instance counts."""
