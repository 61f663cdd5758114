"""What holds for the text of the tree: layers, who names which library, what each file says about itself."""

import re
import shutil

import pytest

import lengths
from tree import PRODUCT, ROOT, files, text

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)

# folder -> folders it may include from. The longest matching name counts; a generated header is protocol/NAME.h.
BASE, WIRE, POLICY = ["protocol/base"], ["protocol/base", "protocol/wire", "protocol"], \
    ["protocol/base", "protocol/wire", "protocol", "policy"]
MAY_INCLUDE = {
    "protocol/base": BASE + ["protocol"],  # codes.h: numbers and words of the errors
    "protocol/wire": WIRE,
    "protocol/json": WIRE + ["protocol/json"],
    "policy": POLICY,
    "workers": POLICY + ["workers"],
    "broker": POLICY + ["broker"],
    "broker/front": POLICY + ["broker", "protocol/json"],
    "broker/ctl": POLICY + ["broker", "protocol/json"],
    "tests": POLICY + ["protocol/json", "broker", "workers", "tests"],
}
LAYERS = ["protocol/base", "protocol/wire", "protocol/json", "protocol", "policy", "workers", "broker/front", "broker/ctl",
          "broker", "tests"]


def layer(name):
    return next((folder for folder in LAYERS if str(name).startswith(folder + "/")), None)


def test_include_direction():
    wrong = []
    for path in files(".c", ".h"):
        for name in INCLUDE.findall(text(path)):
            target = layer(name)
            if target is None:
                continue
            target = "broker" if target.startswith("broker") else target
            if target not in MAY_INCLUDE[layer(path)]:
                wrong.append(f"{path} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_base_includes_no_message():
    """Of the generated headers, the lowest layer reads the error codes only."""
    names = {name for path in files(".c", ".h", folders=["protocol/base"]) for name in INCLUDE.findall(text(path))}
    assert {name for name in names if layer(name) == "protocol"} <= {"protocol/codes.h"}


@pytest.mark.parametrize("header,user", [(r"(json-c/.*|json)\.h", "protocol/json/convert.c"),
                                         (r"cap-ng\.h", "policy/confine/caps.c"),
                                         (r"seccomp\.h", "policy/confine/filtergen.c")])
def test_one_file_per_library(header, user):
    found = {str(path) for path in files(".c", ".h", folders=PRODUCT)
             for name in INCLUDE.findall(text(path)) if re.fullmatch(header, name)}
    # bulkheadctl reads files of root's, not a peer's bytes: it may use json-c as it likes.
    assert {path for path in found if not path.startswith("broker/ctl/")} == {user}


@pytest.mark.parametrize("path", files(".h", folders=PRODUCT), ids=str)
def test_header_says_whom_it_trusts(path):
    head = text(path)[:6000]
    assert head.startswith("/*"), "no head comment"
    trust = re.search(r"Trust:\s*(.*?)\*/", head, re.S)
    assert trust, "no Trust: line"
    for word in ("in =", "out =", "called by ="):
        assert word in trust[1], word


@pytest.mark.parametrize("path", files(".c", ".h"), ids=str)
def test_c_file(path):
    """A head comment that says something, and a length that one reads in one go."""
    content = text(path)
    head = re.match(r"/\*(.*?)\*/", content, re.S)
    assert head and len(head[1].split()) >= 4, "the head comment says nothing"
    if path.suffix == ".c" and path.parts[0] in PRODUCT:
        assert content.count("\n") <= 400


@pytest.mark.parametrize("path", files(".py", ".sh") + [ROOT.joinpath("dev").relative_to(ROOT)], ids=str)
def test_script_head(path):
    lines = text(path).splitlines()
    body = [line for line in lines[:4] if not line.startswith("#!") and line.strip()]
    assert body and body[0].lstrip().startswith(('"""', "#")), "no head comment"


def test_nothing_unfinished():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert not [str(path) for path in files(".c", ".h", ".py", ".sh", folders=PRODUCT) if words.search(text(path))]


def test_every_unit_test_is_built():
    listed = text("tests/unit/meson.build")
    assert not [path.stem for path in files(".c", folders=["tests/unit"])
                if path.stem.startswith("test-") and f"'{path.stem.removeprefix('test-')}'" not in listed]
    listed = text("tests/fuzz/meson.build")
    assert not [path.stem for path in files(".c", folders=["tests/fuzz"])
                if path.stem.startswith("fuzz-") and f"'{path.stem.removeprefix('fuzz-')}'" not in listed]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_paths_in_documents_exist(document):
    content = text(document)
    names = set(re.findall(r"`((?:protocol|policy|broker|workers|tests|selinux)/[\w./-]*)`", content))
    names |= {name for name in re.findall(r"\]\(([^)#:]+)\)", content)}
    assert names, "no path found: is this test still reading it right?"
    assert not [name for name in sorted(names) if not (ROOT / name).exists()]


@pytest.mark.skipif(not shutil.which("ctags"), reason="ctags is missing (package universal-ctags)")
def test_function_lengths():
    rows = lengths.functions()
    median, p90, longest = lengths.summary(rows)
    assert median <= lengths.MEDIAN_MAX and p90 <= lengths.P90_MAX
    assert longest <= lengths.LONGEST_MAX, rows[:5]
