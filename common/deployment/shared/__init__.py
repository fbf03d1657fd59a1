"""A shared endpoint: several small models behind one multi-model endpoint, each deployed by itself."""
