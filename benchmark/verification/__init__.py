"""Whether records can be believed: numbers from ranks, ranks from checkpoints, and all of it trained again."""

from benchmark.verification.equal_code import note_equal_versions
from benchmark.verification.leaderboards import Checked, check_leaderboards, check_records
from benchmark.verification.records import Verified, verify_records
from benchmark.verification.resources import Resources

__all__ = [
    "Checked",
    "Resources",
    "Verified",
    "check_leaderboards",
    "check_records",
    "note_equal_versions",
    "verify_records",
]
