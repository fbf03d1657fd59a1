"""From raw records to predictions: the code that travels with every model, and the archive that it travels in."""
