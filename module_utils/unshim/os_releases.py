"""When releases of operating systems end: the last day of the updates that everybody gets, and of those one can pay for.

Source of every row: endoflife.date/debian, /ubuntu, /rhel, /centos, /centos-stream, /rocky-linux, /almalinux, /oracle-linux,
/fedora, /amazon-linux, /sles and /opensuse, as of 2026-08-22. Debian: the end of LTS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from .facts import OperatingSystem


@dataclass(frozen=True)
class Row:
    """One release, by ID and VERSION_ID of os-release; a version without a point stands for all its minor ones."""

    ids: tuple[str, ...]
    version: str
    ended: date
    extended: date | None = None  # last day of what is paid for
    by: str = ""  # what that is called


def _rows(ids: tuple[str, ...], by: str, text: str) -> tuple[Row, ...]:
    """Rows from lines of version, last day, last day of what is paid for."""
    rows = []
    for line in text.split("\n"):
        if line.strip():
            version, ended, *extended = line.split()
            paid = date.fromisoformat(extended[0]) if extended else None
            rows.append(Row(ids, version, date.fromisoformat(ended), paid, by if paid else ""))
    return tuple(rows)


RELEASES = (
    *_rows(("debian",), "", """
        8   2020-06-30
        9   2022-07-01
        10  2024-06-30
        11  2026-08-31
        12  2028-06-30
        13  2030-06-30
    """),
    *_rows(("ubuntu",), "Ubuntu Pro", """
        14.04  2019-04-02  2024-04-02
        16.04  2021-04-02  2026-04-02
        18.04  2023-05-31  2028-04-01
        18.10  2019-07-18
        19.04  2020-01-23
        19.10  2020-07-06
        20.04  2025-05-31  2030-04-02
        20.10  2021-07-22
        21.04  2022-01-20
        21.10  2022-07-14
        22.04  2027-04-01  2032-04-09
        22.10  2023-07-20
        23.04  2024-01-20
        23.10  2024-07-12
        24.04  2029-05-31  2036-05-31
        24.10  2025-07-10
        25.04  2026-01-17
        25.10  2026-07-01
        26.04  2031-04-30  2036-04-30
    """),
    *_rows(("rhel",), "Extended Lifecycle Support", """
        7   2024-06-30  2029-05-31
        8   2029-05-31  2033-05-31
        9   2032-05-31  2036-05-31
        10  2035-05-31  2039-05-31
    """),
    *_rows(("centos",), "", """
        7   2024-06-30
        8   2021-12-31
    """),
    # Stream calls itself centos as well; release() tells it by its name.
    *_rows(("centos-stream",), "", """
        8   2024-05-31
        9   2027-05-31
        10  2030-05-31
    """),
    *_rows(("rocky", "almalinux"), "", """
        8   2029-05-31
        9   2032-05-31
        10  2035-05-31
    """),
    *_rows(("ol",), "Extended Support", """
        7   2024-12-31  2028-06-30
        8   2029-07-31  2032-07-31
        9   2032-06-30  2035-06-30
    """),
    *_rows(("fedora",), "", """
        30  2020-05-26
        31  2020-11-24
        32  2021-05-25
        33  2021-11-30
        34  2022-06-07
        35  2022-12-13
        36  2023-05-16
        37  2023-12-05
        38  2024-05-21
        39  2024-11-26
        40  2025-05-13
        41  2025-12-15
        42  2026-05-27
        43  2026-12-09
        44  2027-06-02
    """),
    *_rows(("amzn",), "", """
        2018.03  2023-12-31
        2        2026-06-30
        2023     2029-06-30
    """),
    *_rows(("sles", "sle_hpc"), "LTSS", """
        12.3  2019-06-30  2022-06-30
        12.4  2020-06-30  2023-06-30
        12.5  2024-10-31  2027-10-31
        15    2019-12-31  2022-12-31
        15.0  2019-12-31  2022-12-31
        15.1  2021-01-31  2024-01-31
        15.2  2021-12-31  2024-12-31
        15.3  2022-12-31  2025-12-31
        15.4  2023-12-31  2026-12-31
        15.5  2024-12-31  2027-12-31
        15.6  2025-12-31  2028-12-31
        15.7  2031-07-31  2034-07-31
        16.0  2027-11-30  2030-11-30
    """),
    *_rows(("opensuse-leap",), "", """
        15.0  2019-12-03
        15.1  2021-02-02
        15.2  2022-01-04
        15.3  2022-12-31
        15.4  2023-12-07
        15.5  2024-12-31
        15.6  2026-04-30
        16.0  2027-10-31
    """),
)  # fmt: skip
#: Systems whose minor releases end on days of their own; for the others the major one decides.
_BY_MINOR = ("ubuntu", "amzn", "sles", "sle_hpc", "opensuse-leap")


def release(system: OperatingSystem) -> Row | None:
    """Return what is known of this system's release; None of a derivative or a version that the table does not have."""
    name = system.id
    if name == "centos" and re.search(r"\bstream\b", system.pretty_name, re.IGNORECASE):
        name = "centos-stream"
    version = system.version_id if name in _BY_MINOR else system.version_id.split(".")[0]
    return next((row for row in RELEASES if name in row.ids and row.version == version), None)


def day(time: float) -> date | None:
    """Return the day of a Unix time, None if it is no time that a node could have."""
    try:
        return datetime.fromtimestamp(time, UTC).date()
    except (OverflowError, OSError, ValueError):
        return None
