"""How good a trained model is, whether that is good enough, and the report that a person decides from."""
