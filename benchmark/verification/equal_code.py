"""Note that the code as it is now gives the results of the versions that records were made with."""

import datetime
from collections import defaultdict
from collections.abc import Iterable

from benchmark.records import equal_versions
from benchmark.records.code_version import code_version
from benchmark.records.equal_versions import EqualVersion
from benchmark.records.store import StoredRecord, Tier
from benchmark.verification.records import Verified


def note_equal_versions(found: Iterable[Verified]) -> tuple[EqualVersion, ...]:
    """Write which versions of the code gave equal records, and return them.

    Records that could not be trained again here do not count, nor does the version that the code has now.

    Args:
        found: records that were trained again, with the demand that they come out equal.

    Raises:
        BenchmarkError: the file cannot be written.
    """
    equal: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in found:
        if each.tier is Tier.RETRAINED and isinstance(each.stored, StoredRecord):
            record = each.stored.record
            equal[record.environment.code_version, record.protocol].append(record.place.as_posix())
    today = datetime.datetime.now(datetime.UTC).date()
    versions = tuple(
        EqualVersion(version=code_version(task), equals=made_by, task=task, records=tuple(places), checked=today)
        for (made_by, task), places in sorted(equal.items())
        if code_version(task) != made_by
    )
    if versions:
        equal_versions.add(versions)
    return versions
