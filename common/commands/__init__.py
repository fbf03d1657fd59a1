"""Commands of `models`, by what they are for; `common/cli.py` puts them together."""
