"""How good a trained model is, beside its champion and simple baselines, and whether that is good enough."""
