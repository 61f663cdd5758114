"""guest-get-fsinfo and guest-get-disks on this machine: against findmnt, lsblk and our own statvfs.

File systems are our own, on loop devices in a mount namespace of the test. guest-fstrim would trim this machine's:
it is asked for in a guest only (tests/vm).
"""

import json
import os
import pathlib

import pytest

from harness import wait_for
from mountns import MountNamespace, kinds

pytestmark = pytest.mark.root

ODD = b"a b\\c\td\ne\xff\xc3\xa9"
SETUP = r"""
mkdir -m 700 closed
mkdir closed/inner bound over
touch file
for i in 1 2 3 4; do truncate -s 8M $i.image; mkfs.ext4 -q $i.image; done
mount -o loop 1.image closed/inner
mount --bind closed/inner bound
mount -o loop 2.image over
mount -t tmpfs tmpfs over
mount -o loop 3.image "$(printf 'a b\\c\td\ne\377\303\251')"
mkdir gone
mount -o loop 4.image gone
echo text >gone/file
mount --bind gone/file file
umount gone
"""


@pytest.fixture
def inside(folder):
    images = folder / "images"
    images.mkdir()
    os.mkdir(bytes(images) + b"/" + ODD)
    with MountNamespace(images, SETUP) as namespace:
        yield namespace


@pytest.fixture
def agent(inside, start):
    return start("open", prefix=inside.enter)


def text_of(name):
    """Bytes as the agent tells them."""
    return name.decode(errors="replace")


def by_mountpoint(rows):
    assert len({row["mountpoint"] for row in rows}) == len(rows)
    return {row["mountpoint"]: row for row in rows}


def statvfs(namespace, path):
    """total-bytes-privileged, used-bytes, total-bytes, by a process of our own in the namespace."""
    text = namespace.run(f"stat -f -c '%S %b %f %a' '{path}'")
    size, blocks, free, available = map(int, text.split())
    return blocks * size, (blocks - free) * size, (blocks - free + available) * size


def sizes(row):
    return row["total-bytes-privileged"], row["used-bytes"], row["total-bytes"]


def test_file_systems_are_those_of_findmnt(inside, agent):
    with agent.client() as client:
        rows = client.ok("guest-get-fsinfo")
    listed = json.loads(inside.run("findmnt --json --list --output TARGET,SOURCE,FSTYPE,MAJ:MIN"))["filesystems"]
    order = []  # devices, as they were first mounted; the first entry of this namespace is "/"
    for row in listed:
        device = row["source"].split("[")[0]
        if device.startswith("/dev/") and row["fstype"] not in ("devtmpfs", "tmpfs") and device not in order:
            order.append(device)
    assert [f"/dev/{row['name']}" for row in rows] == order[::-1]
    told = by_mountpoint(rows)
    for kind in kinds():
        row = told[f"{inside.folder}/{kind}"]
        assert row["type"] == kind and row["disk"] == [] and row["name"].startswith("loop")
        assert sizes(row) == statvfs(inside, row["mountpoint"])
    assert {entry["dev"] for entry in told["/"]["disk"]} <= {f"/dev/{path.name}" for path in pathlib.Path("/sys/class/block").iterdir()}


def test_a_folder_that_is_closed_and_a_mount_that_is_bound(inside, agent):
    with agent.client() as client:
        told = by_mountpoint(client.ok("guest-get-fsinfo"))
    row = told[f"{inside.folder}/closed/inner"]
    assert sizes(row) == statvfs(inside, row["mountpoint"])
    assert f"{inside.folder}/bound" not in told


def test_any_name(inside, agent):
    with agent.client() as client:
        told = by_mountpoint(client.ok("guest-get-fsinfo"))
    row = told[f"{inside.folder}/{text_of(ODD)}"]
    assert row["type"] == "ext4" and row["total-bytes-privileged"] < 8 * 1024 * 1024


def test_what_is_hidden_has_no_sizes_and_what_covers_a_file_has(inside, agent):
    with agent.client() as client:
        told = by_mountpoint(client.ok("guest-get-fsinfo"))
    assert set(told[f"{inside.folder}/over"]) == {"name", "mountpoint", "type", "disk"}
    row = told[f"{inside.folder}/file"]
    assert sizes(row) == statvfs(inside, row["mountpoint"])


def test_the_same_process_sees_what_is_mounted_and_keeps_nothing_busy(inside, agent):
    place = f"{inside.folder}/closed/inner"
    with agent.client() as client:
        assert place in by_mountpoint(client.ok("guest-get-fsinfo"))
        pid = agent.pid("storage")
        inside.run("umount bound closed/inner")
        assert place not in by_mountpoint(client.ok("guest-get-fsinfo"))
        inside.run("mount -o loop 1.image closed/inner")
        assert client.ok("guest-get-fsinfo")[0]["mountpoint"] == place
    assert agent.pid("storage") == pid


def test_disks_are_those_of_lsblk(inside, agent):
    def same():
        """Others on this machine may attach a loop device meanwhile."""
        with agent.client() as client:
            told = {row["name"]: row for row in client.ok("guest-get-disks")}
        listed = json.loads(inside.run("lsblk --json --list --all --bytes --output KNAME,TYPE,SIZE"))["blockdevices"]
        listed = {f"/dev/{row['kname']}": row for row in listed if row["size"]}
        return set(told) == set(listed) and (told, listed)
    told, listed = wait_for(same, 10, "the same disks")
    for name, row in told.items():
        assert row["partition"] == (listed[name]["type"] == "part")
        assert ("address" in row) == (listed[name]["type"] in ("disk", "rom") and "virtual" not in os.readlink(f"/sys/class/block/{name[5:]}"))
        assert row["dependencies"] == [] or row["partition"] or "address" not in row


def test_it_is_the_order_of_names_backwards(agent):
    with agent.client() as client:
        names = [row["name"] for row in client.ok("guest-get-disks")]
    loops = [int(name[9:]) for name in names if name.startswith("/dev/loop") and name[9:].isdigit()]
    assert len(loops) >= 5 and loops == sorted(loops, reverse=True)


def test_a_policy_that_does_not_grant_it(start):
    agent = start("backup")
    with agent.client() as client:
        assert client.ok("guest-get-fsinfo")
        assert "has been disabled" in client.error("guest-get-disks")[1]


def test_it_is_asked_for_only_when_somebody_asks(start):
    agent = start("open")
    with agent.client() as client:
        client.ok("guest-get-osinfo")
        assert not agent.processes("storage")
        client.ok("guest-get-disks")
        assert agent.processes("storage")
