"""One runner for everything: C tests become items of pytest, and the last line of the output counts all of them.

A file test-X.c is the program of that name in the same folder below build/; each of its cmocka cases is an item.
tests/fuzz/fuzz-X.c is a program that is fed each file of tests/fuzz/corpus/X. Both run in the ordinary build, and in
the sanitizer build where it has them.
"""

import os
import pathlib
import re
import subprocess

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TESTS.parent / "build")).resolve()
SECONDS_MAX = 120
TAP = re.compile(r"^(not )?ok (?:\d+ )?- (\S+)(.*)$")
COUNTS = {"passed": 0, "failed": 0, "skipped": 0}


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".c" and file_path.stem.startswith("test-"):
        return CmockaFile.from_parent(parent, path=file_path)
    if file_path.suffix == ".c" and file_path.stem.startswith("fuzz-"):
        return FuzzFile.from_parent(parent, path=file_path)
    return None


def programs(path):
    """(name of the build, program) in each build folder that has it; the first must."""
    relative = path.relative_to(TESTS).with_suffix("")
    yield "", BUILD / "tests" / relative
    asan = BUILD.with_name(BUILD.name + "-asan") / "tests" / relative
    if asan.exists():
        yield "asan:", asan


def run(program, *arguments):
    """(exit status, output); a program that hangs is ended and counts as failed."""
    environment = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "ASAN_OPTIONS": "detect_leaks=1"}
    try:
        done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=TESTS.parent,
                              env=environment, timeout=SECONDS_MAX)
    except FileNotFoundError:
        return 127, f"{program} is not built: ./dev build"
    except subprocess.TimeoutExpired as late:
        return 124, (late.stdout or b"").decode(errors="replace") + f"\nended after {SECONDS_MAX} s"
    return done.returncode, done.stdout.decode(errors="replace")


class Failed(Exception):
    """What a C program printed."""


class ResultItem(pytest.Item):
    """A case whose outcome is known already."""

    def __init__(self, *, outcome, output, **more):
        super().__init__(**more)
        self.outcome, self.output = outcome, output

    def runtest(self):
        if self.outcome == "skipped":
            pytest.skip(self.output.strip() or "skipped")
        if self.outcome == "failed":
            raise Failed(self.output)

    def repr_failure(self, excinfo):
        return str(excinfo.value) if isinstance(excinfo.value, Failed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, self.name


class CmockaFile(pytest.File):
    def collect(self):
        for build, program in programs(self.path):
            status, output = run(program)
            bad = 0
            for name, outcome, text in cases(output):
                bad += outcome == "failed"
                yield ResultItem.from_parent(self, name=build + name, outcome=outcome, output=text)
            ended_well = status == 0 or (bad and 0 < status < 100)
            yield ResultItem.from_parent(self, name=build + "ends-well", output=f"status {status}\n{output[-4000:]}",
                                         outcome="passed" if ended_well else "failed")


def cases(output):
    """(name, outcome, text) of each line of TAP; what follows a failure belongs to it."""
    lines, rows = output.splitlines(), []
    for number, line in enumerate(lines):
        match = TAP.match(line)
        if match:
            outcome = "failed" if match[1] else "skipped" if "skip" in match[3].lower() else "passed"
            rows.append([match[2], outcome, number])
    for place, (name, outcome, number) in enumerate(rows):
        end = rows[place + 1][2] if place + 1 < len(rows) else len(lines)
        yield name, outcome, "\n".join(lines[number:end])


class FuzzFile(pytest.File):
    def collect(self):
        corpus = TESTS / "fuzz" / "corpus" / self.path.stem.removeprefix("fuzz-")
        files = sorted(str(path) for path in corpus.rglob("*") if path.is_file())
        for build, program in programs(self.path):
            status, output = run(program, *files) if files else (1, f"{corpus} is empty")
            yield ResultItem.from_parent(self, name=f"{build}corpus of {len(files)}", output=output[-4000:],
                                         outcome="passed" if status == 0 else "failed")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_runtest_logreport(report):
    if report.failed:
        COUNTS["failed"] += 1
    elif report.skipped:
        COUNTS["skipped"] += 1
    elif report.when == "call":
        COUNTS["passed"] += 1


def pytest_collectreport(report):
    COUNTS["failed"] += report.failed


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if not config.option.collectonly:
        print("{passed} passed, {failed} failed, {skipped} skipped".format(**COUNTS))
