"""Whether records can be believed: numbers from ranks, ranks from checkpoints, and all of it trained again."""

from benchmark.verification.at_hand import AtHand
from benchmark.verification.records import Verified, verify_records

__all__ = ["AtHand", "Verified", "verify_records"]
