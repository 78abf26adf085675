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
    """Add the versions of the code that gave equal records to the list of equal versions, and return them.

    Records that could not be trained again here are ignored, and so are those of the present version of the code.

    Args:
        found: what `verify_records` found with `Resources.is_equal_code`, under which only equal records pass.

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
