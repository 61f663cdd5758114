"""The generator: what it writes, what it refuses and how it says so, and that the compiler catches what it gets wrong.

To accept a change of the golden files after reading it:
    protocol/gen/generate.py tests/gen/good/small.json tests/gen/good/small
"""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SMALL = HERE / "good" / "small"
COMPILE = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror",
           "-Wmissing-prototypes", f"-I{ROOT}"]


def generate(schema, directory):
    return subprocess.run([sys.executable, "-B", ROOT / "protocol/gen/generate.py", schema, directory],
                          capture_output=True, text=True, check=False)


def compile_c(tmp_path, *arguments):
    return subprocess.run([*COMPILE, f"-I{tmp_path}", *arguments], capture_output=True, text=True, check=False,
                          cwd=tmp_path)


@pytest.fixture
def small(tmp_path):
    """A directory in which "protocol/..." is the output of the small schema."""
    (tmp_path / "protocol").mkdir()
    assert generate(HERE / "good/small.json", tmp_path / "protocol").returncode == 0
    return tmp_path


@pytest.mark.parametrize("case", sorted((HERE / "bad").glob("*.json")), ids=lambda case: case.stem)
def test_refuses(case, tmp_path):
    result = generate(case, tmp_path)
    assert (result.returncode, result.stderr) == (1, case.with_suffix(".err").read_text(encoding="utf-8"))
    assert list(tmp_path.iterdir()) == [], "nothing is written from a bad schema"


def test_golden(small):
    written = {f.name: f.read_text(encoding="utf-8") for f in (small / "protocol").iterdir()}
    assert written == {f.name: f.read_text(encoding="utf-8") for f in SMALL.iterdir()}


def test_same_twice(small, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    assert generate(HERE / "good/small.json", again).returncode == 0
    for file in again.iterdir():
        assert file.read_bytes() == (small / "protocol" / file.name).read_bytes()


def test_output_compiles(small):
    for file in ("tables.c", "ops-front.c", "ops-back.c"):
        result = compile_c(small, "-fsyntax-only", f"protocol/{file}")
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("right, wrong", [
    ("int64_t coats;", "int32_t coats;"),
    ("struct bh_bytes pin;", "struct bh_str pin;"),
    ("bool has_colour;", "int has_colour;"),
    ("uint32_t n_boxes;", "uint64_t n_boxes;"),
    ("struct bh_guest_box *boxes;", "struct bh_guest_thing *boxes;"),
    ("double weight;", "float weight;"),
])
def test_wrong_row_does_not_compile(small, right, wrong):
    types = small / "protocol/types.h"
    text = types.read_text(encoding="utf-8")
    assert right in text
    types.write_text(text.replace(right, wrong), encoding="utf-8")
    assert compile_c(small, "-fsyntax-only", "protocol/tables.c").returncode != 0


def test_missing_handler_does_not_link(small):
    handlers = '#include "protocol/handlers-back.h"\nint main(void) { return (int)bh_n_ops - 2; }\n'
    handlers += "int bh_do_guest_paint(struct bh_call *call, const struct bh_guest_paint_args *args,\n"
    handlers += "                      struct bh_guest_paint_ret *ret)\n"
    handlers += "{\n    (void)call;\n    (void)args;\n    (void)ret;\n    return 0;\n}\n"
    (small / "main.c").write_text(handlers, encoding="utf-8")
    result = compile_c(small, "main.c", "protocol/ops-back.c", "-o", "program")
    assert result.returncode != 0 and "bh_do_guest_leave" in result.stderr
    leave = "int bh_do_guest_leave(struct bh_call *call)\n{\n    (void)call;\n    return 0;\n}\n"
    (small / "main.c").write_text(handlers + leave, encoding="utf-8")
    result = compile_c(small, "main.c", "protocol/ops-back.c", "-o", "program")
    assert result.returncode == 0, result.stderr
    assert subprocess.run([small / "program"], check=False).returncode == 0


def test_usage(tmp_path):
    assert generate(tmp_path / "absent.json", tmp_path).returncode == 1
    result = subprocess.run([sys.executable, "-B", ROOT / "protocol/gen/generate.py"],
                            capture_output=True, check=False)
    assert result.returncode == 2


def test_size_of_the_generator():
    lines = sum(len(f.read_text(encoding="utf-8").splitlines()) for f in (ROOT / "protocol/gen").glob("*.py"))
    assert lines < 700
