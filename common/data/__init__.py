"""Where a model's rows come from, what they have to look like, and how they become training files."""
