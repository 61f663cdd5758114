"""Decisions about files under a policy: on the object that was opened, whatever its name was a moment ago."""

import json
import os
import subprocess

import pytest

from harness import BUILD

pytestmark = pytest.mark.root

SECRET, PUBLIC = b"secret of another\n", b"public words\n"

POLICY = """policy 1
use standard
rule logs: allow @file-read {{
    path beneath "{allowed}"
}}
rule spool: allow @file-write {{
    path beneath "{spool}"
    user root
}}
rule capped: allow @file-write {{
    path is "{folder}/capped"
    user root
    max-size 10
}}
rule hidden: deny @file-read {{
    path is "{allowed}/hidden"
}}
"""


@pytest.fixture
def place(folder):
    """allowed/ may be read, spool/ written, outside/ nothing."""
    for name in ("allowed", "spool", "outside"):
        (folder / name).mkdir()
    (folder / "allowed" / "public").write_bytes(PUBLIC)
    (folder / "allowed" / "hidden").write_bytes(SECRET)
    (folder / "outside" / "secret").write_bytes(SECRET)
    (folder / "outside" / "secret").chmod(0o600)
    (folder / "capped").write_bytes(b"")
    return folder


def text(folder):
    return POLICY.format(allowed=folder / "allowed", spool=folder / "spool", folder=folder)


@pytest.fixture
def agent(start, place):
    return start(text(place))


@pytest.fixture
def client(agent):
    with agent.client() as connection:
        yield connection


def refused(client, path, mode="r", codes=(1202,)):
    """The request is refused by the policy (not by the kernel); returns the record's number."""
    kind, desc, code, record = client.error("guest-file-open", {"path": str(path), "mode": mode})
    assert kind == "GenericError" and code in codes, desc
    return record


def test_allowed_file(client, place):
    handle = client.open(place / "allowed" / "public")
    assert client.read(handle, 100) == (PUBLIC, True)


def test_outside(agent, client, place):
    record = agent.record(refused(client, place / "outside" / "secret"))
    assert record["kind"] == "refused" and record["code"] == "BH1202"
    assert record["obj"] == str(place / "outside" / "secret") and record["cmd"] == "guest-file-open"


def test_deny_wins_and_names_its_rule(agent, client, place):
    record = agent.record(refused(client, place / "allowed" / "hidden", codes=(1203,)))
    assert record["rule"] == "hidden"


def test_reading_does_not_grant_writing(client, place):
    for mode in ("w", "a", "r+", "w+", "a+"):
        refused(client, place / "allowed" / "public", mode)
        refused(client, place / "allowed" / "new", mode)
    assert (place / "allowed" / "public").read_bytes() == PUBLIC
    assert not (place / "allowed" / "new").exists()


def test_writing_does_not_grant_reading(client, place):
    handle = client.open(place / "spool" / "new", "w")
    client.write(handle, b"abc")
    client.close_file(handle)
    assert (place / "spool" / "new").read_bytes() == b"abc"
    refused(client, place / "spool" / "new", "r")
    refused(client, place / "spool" / "new", "r+")


@pytest.mark.parametrize("name", ["../outside/secret", "./../outside/secret", "x/../../outside/secret", "..//outside/secret"])
def test_dots(client, place, name):
    refused(client, f"{place}/allowed/{name}")


def test_neighbour_with_the_same_beginning(client, place):
    (place / "allowed-not").write_bytes(SECRET)
    refused(client, place / "allowed-not")


@pytest.mark.parametrize("target", ["outside/secret", "outside"])
def test_symlink_out(client, place, target):
    (place / "allowed" / "link").symlink_to(place / target)
    refused(client, place / "allowed" / "link", codes=(1202, 1204))
    refused(client, place / "allowed" / "link" / "secret", codes=(1202, 1204))


def test_symlink_to_write_through(client, place):
    (place / "spool" / "link").symlink_to(place / "outside" / "secret")
    (place / "spool" / "dangling").symlink_to(place / "outside" / "new")
    refused(client, place / "spool" / "link", "w", codes=(1202, 1204))
    client.error("guest-file-open", {"path": str(place / "spool" / "dangling"), "mode": "w"})
    assert (place / "outside" / "secret").read_bytes() == SECRET
    assert not (place / "outside" / "new").exists()


def test_hard_link(client, place):
    os.link(place / "outside" / "secret", place / "allowed" / "hard")
    os.link(place / "outside" / "secret", place / "spool" / "hard")
    refused(client, place / "allowed" / "hard")
    refused(client, place / "spool" / "hard", "a")


def test_special_files(client, place):
    os.mkfifo(place / "allowed" / "fifo")
    os.mknod(place / "allowed" / "zero", 0o20666, os.makedev(1, 5))
    os.mkdir(place / "allowed" / "dir")
    for name in ("fifo", "zero", "dir"):
        refused(client, place / "allowed" / name)
    for path in ("/proc/self/environ", "/proc/1/environ", "/proc/self/fd/3", "/dev/zero", "/sys/kernel/notes", "/"):
        refused(client, path)


def test_size_limit(client, place):
    handle = client.open(place / "capped", "w")
    assert client.write(handle, b"x" * 10) == 10
    assert client.error("guest-file-write", {"handle": handle, "buf-b64": "eA=="})[2] == 1205
    client.close_file(handle)
    assert (place / "capped").read_bytes() == b"x" * 10


def test_refused_open_does_not_truncate(client, place):
    os.link(place / "outside" / "secret", place / "spool" / "hard")
    refused(client, place / "spool" / "hard", "w")
    assert (place / "outside" / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("what", ["hard link", "symlink", "folder"])
def test_swap_race(agent, place, what):
    """A user flips a good and a bad name 200,000 times in all; no open ever yields the bad one's bytes."""
    name = good = place / "allowed" / "a"
    bad = place / "outside" / "b"
    if what == "folder":
        good.mkdir()
        (place / "outside" / "real").mkdir()
        (good / "f").write_bytes(PUBLIC), (place / "outside" / "real" / "f").write_bytes(SECRET)
        bad.symlink_to(place / "outside" / "real")
        name = good / "f"
    else:
        good.write_bytes(PUBLIC)
        (bad.symlink_to if what == "symlink" else bad.hardlink_to)(place / "outside" / "secret")
    flips = subprocess.Popen([BUILD / "tests" / "e2e" / "flip", good, bad, "66668"])
    seen = {"ok": 0, "refused": 0}
    with agent.client() as client:
        while flips.poll() is None:
            reply = client.call("guest-file-open", {"path": str(name)})
            if "error" in reply:
                seen["refused"] += 1
                continue
            data, _ = client.read(reply["return"], 100)
            client.close_file(reply["return"])
            assert data == PUBLIC
            seen["ok"] += 1
    assert flips.wait() == 0
    print(f"{what}: {json.dumps(seen)}")
    assert seen["refused"] > 0


def test_write_swap_race(agent, place):
    good, bad = place / "spool" / "a", place / "outside" / "b"
    good.write_bytes(b""), bad.symlink_to(place / "outside" / "secret")
    flips = subprocess.Popen([BUILD / "tests" / "e2e" / "flip", good, bad, "66668"])
    with agent.client() as client:
        while flips.poll() is None:
            reply = client.call("guest-file-open", {"path": str(good), "mode": "w"})
            if "return" in reply:
                client.write(reply["return"], b"overwritten")
                client.close_file(reply["return"])
    assert flips.wait() == 0
    assert (place / "outside" / "secret").read_bytes() == SECRET
    assert sorted(path.name for path in (place / "outside").iterdir()) == ["b", "secret"]
