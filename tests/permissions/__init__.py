"""Who can do what and who cannot, proven on the policies that were applied and read back."""
