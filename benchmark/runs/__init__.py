"""Runs: one run from data to record, the grid of them, and what is found of earlier ones."""
