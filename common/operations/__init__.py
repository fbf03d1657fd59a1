"""What whoever is on call does: go back, hold, release, look, take down, and count what it costs."""
