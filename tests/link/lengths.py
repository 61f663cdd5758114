"""Lengths of C functions in the product: median, 90th percentile, longest. Fails past the limits of CONTRIBUTING.md."""

import statistics
import subprocess
import sys

from tree import PRODUCT, ROOT, files

MEDIAN_MAX, P90_MAX, LONGEST_MAX = 15, 45, 80


def functions():
    """(lines, file, first line, name) of each function, signature to brace, longest first."""
    names = [str(path) for path in files(".c", ".h", folders=PRODUCT)]
    out = subprocess.run(["ctags", "--c-kinds=f", "--fields=+ne", "-f", "-", "--sort=no", *names], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout
    rows = []
    for line in out.splitlines():
        columns = line.split("\t")
        fields = dict(column.split(":", 1) for column in columns[3:] if ":" in column)
        if "line" in fields and "end" in fields:
            rows.append((int(fields["end"]) - int(fields["line"]) + 1, columns[1], fields["line"], columns[0]))
    return sorted(rows, reverse=True)


def summary(rows):
    lengths = sorted(row[0] for row in rows)
    return statistics.median(lengths), lengths[len(lengths) * 9 // 10], lengths[-1]


def main():
    rows = functions()
    median, p90, longest = summary(rows)
    print(f"{len(rows)} functions: median {median:.0f}, p90 {p90}, longest {longest} lines")
    for length, path, line, name in rows:
        if length > LONGEST_MAX:
            print(f"{path}:{line}: {name} has {length} lines")
    return median > MEDIAN_MAX or p90 > P90_MAX or longest > LONGEST_MAX


if __name__ == "__main__":
    sys.exit(main())
