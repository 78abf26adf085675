"""Explain the first image of every query from scenes alone: which kind of answer it is, how often, for which words."""
