"""The project's own files, by kind; what the tests of this folder and lengths.py read."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCT = ["protocol", "policy", "workers", "broker"]


def files(*suffixes, folders=(*PRODUCT, "tests")):
    """Paths relative to the root, without what tests feed to programs."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "corpus" not in path.parts and "__pycache__" not in path.parts:
                found.append(path.relative_to(ROOT))
    return found


def text(path):
    return (ROOT / path).read_text(errors="replace")
