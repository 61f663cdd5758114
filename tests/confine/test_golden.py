"""Each profile, in words, is what was reviewed. A change of a table is a change of a golden file."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import build


@pytest.mark.parametrize("name", build.PROFILES)
def test_profile_is_as_reviewed(name):
    golden = pathlib.Path(__file__).with_name("golden") / f"{name}.txt"
    assert build.filtergen("--dump", name) == golden.read_text(), (
        f"if the change is meant: bh-filtergen --dump {name} > {golden}")
