"""What a program in each sandbox can do, against escape.table: a changed cell is red.

A column is a sandbox and who is in it: an ordinary user, root, or a variant (net: `net host`; socket: the rule lists
/run/docker.sock; both: both; own: the agent is this ordinary user's, so that there is no view). A cell is "done" or the name
of the errno; "hidden": not there, or covered, or read-only, as the guest's kernel has the file or not; "*": the guest's
affair, not ours.
"""

import json
import pathlib
import platform
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import build
import stage

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "escape.table"
HIDDEN = {"ENOENT", "EACCES", "EROFS"}

pytestmark = [pytest.mark.root, pytest.mark.skipif(platform.machine() != "x86_64", reason="the table is x86-64's")]


def read_table():
    """column -> attempt -> cell"""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {column: {row[0]: row[i + 1] for row in lines[1:]} for i, column in enumerate(lines[0][1:])}


def is_expected(was, cell):
    return cell == "*" or was == cell or (cell == "hidden" and was in HIDDEN)


def run_stage():
    run = subprocess.run(["unshare", "-m", "--propagation", "private", sys.executable, HERE / "stage.py", build.BUILD],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def found():
    return run_stage()


@pytest.mark.parametrize("column", stage.COLUMNS)
def test_escapes_end_as_the_table_says(found, column):
    table = read_table()[column]
    assert list(table) == list(found[column]), "the table's rows are the attempts"
    wrong = [f"{name}: {was}, not {table[name]}" for name, was in found[column].items()
             if not is_expected(was, table[name])]
    assert not wrong, "\n".join(wrong)


def test_the_table_is_whole():
    table = read_table()
    assert list(table) == list(stage.COLUMNS)
    assert len(table["minimal/user"]) > 100
    for column, cells in table.items():
        if column.startswith(("minimal", "diag")):
            assert "*" not in cells.values() or column.endswith("/own"), f"{column}: what a sandbox allows is ours to say"
