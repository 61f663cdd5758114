"""Each fence, taken out, turns a test red (mutate.py)."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import mutate
import mutations

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutate")
    for path in (folder, folder.parent):
        os.chmod(path, 0o755)
    return mutate.Copy(folder)


@pytest.mark.parametrize("test", mutate.tests_of(mutations.MUTATIONS))
def test_green_without_mutation(copy, test):
    assert not copy.is_red(test)


@pytest.mark.parametrize("row", mutations.MUTATIONS, ids=lambda row: row[0].replace(" ", "-"))
def test_mutation_is_noticed(copy, row):
    assert mutate.survives(copy, row) is None
