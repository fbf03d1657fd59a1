"""What production data are compared with, and what the comparison finds: baselines, drift, quality, and when to retrain."""
