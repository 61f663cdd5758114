"""The kernel's counters as /proc has them, to hold answers against that were given a moment earlier or later."""

import os
import re

CPU = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestnice"]
DISK = ["read-ios", "read-merges", "read-sectors", "read-ticks", "write-ios", "write-merges", "write-sectors", "write-ticks",
        "ios-pgr", "total-ticks", "weight-ticks", "discard-ios", "discard-merges", "discard-sectors", "discard-ticks",
        "flush-ios", "flush-ticks"]
SLACK = {"idle": 1000, "iowait": 1000, "ios-pgr": 1 << 32}  # the first two are taken back at times, the last is no counter


def cpus():
    """{number: {name: milliseconds}} of the CPUs in /proc/stat."""
    rows = [line.split() for line in open("/proc/stat") if re.match("cpu[0-9]", line)]
    hertz = os.sysconf("SC_CLK_TCK")
    return {int(name[3:]): {key: int(v) * 1000 // hertz for key, v in zip(CPU, values)} for name, *values in rows}


def disks():
    """{(name, major, minor): {name: count}} of /proc/diskstats, on a kernel with all columns."""
    rows = [line.split() for line in open("/proc/diskstats")]
    return {(name, int(major), int(minor)): dict(zip(DISK, map(int, values))) for major, minor, name, *values in rows}


def outside(counters, low, high):
    """The names whose value is not between the two readings."""
    assert set(low) == set(high) == set(counters)
    return [name for name, value in counters.items()
            if not low[name] - SLACK.get(name, 0) <= value <= high[name] + SLACK.get(name, 0)]


def split(command, row):
    """An element of the answer as (key of the reading, counters)."""
    if command == "guest-get-cpustats":
        return row["cpu"], {name: value for name, value in row.items() if name not in ("type", "cpu")}
    return (row["name"], row["major"], row["minor"]), row["stats"]


READ = {"guest-get-cpustats": cpus, "guest-get-diskstats": disks}
