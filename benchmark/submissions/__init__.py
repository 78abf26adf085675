"""Submitted composers: checked, trained and asked in a separate process, and scored outside of it."""
