"""A static site of the leaderboards: plain files that a browser opens from disk, a function of the records."""

from benchmark.leaderboard.site.pages import write_site

__all__ = ["write_site"]
