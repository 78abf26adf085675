"""Composers of other people: checked, trained and asked in a process of their own, scored in ours."""
