"""New models from templates, and their removal: a folder, and the lines that other files have for each model."""
