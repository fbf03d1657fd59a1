"""What an attacker tries, and what becomes of it."""
