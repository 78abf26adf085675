"""Recipes, their presets and hashes, runtime settings, and the identity of a run."""
