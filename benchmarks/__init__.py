"""Figures, each beside its yardstick in the same run: `make bench`. Medians of paired runs, since machines are noisy."""
