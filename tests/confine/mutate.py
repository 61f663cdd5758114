"""Takes each fence out of a copy of the tree and looks whether a test notices.

A fence whose absence no test sees is a fence that nobody would miss. The copy is set up
with meson and builds only what the tests of this folder need; each mutation is then an
incremental build of a second or two. By hand: mutate.py [words of a fence...].
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import mutations

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["protocol", "policy", "broker", "workers", "tests"]
CASES = ["test-cgroup", "test-confine", "test-start", "test-view"]
PROGRAMS = [*CASES, "confined", "escape", "sandbox-run", "try-syscall"]
SECONDS_MAX = 180
BUILD_SECONDS_MAX = 1800  # of all that the tests need, on a busy machine


class Copy:
    """A scratch copy of the tree, built."""

    def __init__(self, folder):
        self.tree, self.build = folder / "tree", folder / "build"
        self.tree.mkdir()
        for name in FOLDERS:
            shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy2(ROOT / name, self.tree)
        # No -Werror: a fence that is gone may leave a parameter without use.
        self.run("meson", "setup", "-Dwerror=false", self.build, self.tree)
        status, output = self.compile()
        assert status == 0, output[-4000:]

    def run(self, *command, seconds=SECONDS_MAX):
        environment = {**os.environ, "BULKHEAD_BUILD": str(self.build), "CMOCKA_MESSAGE_OUTPUT": "TAP"}
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", env=environment, timeout=seconds)
        return done.returncode, done.stdout

    def compile(self):
        return self.run("ninja", "-j2", "-C", self.build, *(f"tests/confine/{name}" for name in PROGRAMS),
                        seconds=BUILD_SECONDS_MAX)

    def is_red(self, test):
        """True if `test` fails; a cmocka case or a file of pytest."""
        if test.endswith(".py"):
            config = self.tree / "tests/pytest.ini"
            return self.run(sys.executable, "-m", "pytest", "-x", "-c", config, self.tree / "tests/confine" / test)[0] == 1
        program = next(name for name in CASES if f"({test})" in (ROOT / f"tests/confine/{name}.c").read_text())
        output = self.run(self.build / "tests/confine" / program)[1]
        assert re.search(rf"ok [\d -]*{test}\b", output), f"{test} did not run:\n{output}"
        return bool(re.search(rf"^not ok [\d -]*{test}\b", output, re.MULTILINE))


def tests_of(rows):
    return sorted({test for *_, test in rows})


def survives(copy, row):
    """None if the mutation was noticed, else a sentence."""
    fence, name, old, new, test = row
    path = copy.tree / name
    source = path.read_text()
    if source.count(old) != 1:
        return f"{fence}: its text stands {source.count(old)} times in {name}"
    path.write_text(source.replace(old, new))
    try:
        status, output = copy.compile()
        if status != 0:
            return f"{fence}: does not compile\n{output[-2000:]}"
        return None if copy.is_red(test) else f"{fence}: taken out, and {test} is green"
    finally:
        path.write_text(source)


def check(folder, rows):
    """Sentences about what went wrong; empty is good."""
    copy = Copy(folder)
    wrong = [f"{test} is red without any mutation" for test in tests_of(rows) if copy.is_red(test)]
    return wrong or [sentence for row in rows if (sentence := survives(copy, row))]


def main():
    import tempfile

    rows = [row for row in mutations.MUTATIONS if not sys.argv[1:] or any(w in row[0] for w in sys.argv[1:])]
    with tempfile.TemporaryDirectory(prefix="bh-mutate-") as folder:
        os.chmod(folder, 0o755)
        wrong = check(pathlib.Path(folder), rows)
    print("\n".join(wrong) or f"{len(rows)} mutations, all noticed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
