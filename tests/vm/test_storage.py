"""Disks of every kind that QEMU emulates, and what Linux builds upon them, as the storage worker tells them.

One guest has them all, with file systems on some; it has no udev, so what udev would note is written here. What lsblk
and findmnt say in the same guest is what the answers are held against; the addresses are those that QEMU was given.
"""

import json
import re
import shutil
import struct
import subprocess

import pytest

from harness import ROOT, wait_for
from inside import HOME, Inside, PeerInside, has_peer

MIB = 1024 * 1024
TOOLS = {"dmsetup": "dmsetup", "lsblk": "util-linux", "findmnt": "util-linux", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs",
         "mkfs.btrfs": "btrfs-progs"}
# name: (MiB, how it is attached, its make)
DISKS = {
    "parts": (64, "virtio-blk-pci,serial=VB-1,addr=0x10", None),
    "half1": (32, "virtio-blk-pci,addr=0x11", None),
    "half2": (32, "virtio-blk-pci,addr=0x12", None),
    "scsi": (32, "scsi-hd,bus=scsi0.0,scsi-id=2,lun=3,serial=SC-1", "ext4"),
    "sata": (320, "ide-hd,bus=ide.2,serial=SA-1", "xfs"),
    "nvme": (128, "nvme,serial=NV-1,addr=0x13", "btrfs"),
    "shared": (32, "nvme-ns,bus=nvme1,shared=on", None),
    "usb": (32, "usb-storage,bus=usb0.0,serial=US-1", None),
    "ide": (32, "ide-hd,bus=pide.1,unit=1,serial=ID-1", None),
}
CONTROLLERS = ["virtio-scsi-pci,id=scsi0,addr=0x14", "qemu-xhci,id=usb0,addr=0x15", "piix3-ide,id=pide,addr=0x16", "nvme-subsys,id=subsys1",
               "nvme,id=nvme1,subsys=subsys1,serial=NV-2,addr=0x17"]

# Tables of the device mapper as LVM and LUKS load them, and a mirror without metadata: their tools are not needed for that.
SETUP = """
set -e
mkdir -p /run/udev/data /mnt
mke2fs /dev/vda1 >/dev/null
dmsetup create --noudevsync vg0-root --table "0 $(cat /sys/class/block/vda2/size) linear /dev/vda2 0"
key=$(printf '%064d' 7)$(printf '%064d' 8)
dmsetup create --noudevsync luks-x --table "0 $(cat /sys/class/block/dm-0/size) crypt aes-xts-plain64 $key 0 /dev/dm-0 0"
ln -s ../dm-0 /dev/mapper/vg0-root # as udev would
ln -s ../dm-1 /dev/mapper/luks-x
mke2fs /dev/dm-1 >/dev/null
echo md0 >/sys/module/md_mod/parameters/new_array
cd /sys/block/md0/md
echo none >metadata_version
echo raid1 >level
echo 2 >raid_disks
for disk in vdb vdc; do
    cat /sys/block/$disk/dev >new_dev
    echo 16384 >dev-$disk/size
done
echo 0 >dev-vdb/slot
echo 1 >dev-vdc/slot
echo 16384 >component_size
echo active >array_state
mke2fs /dev/md0 >/dev/null
cd /
chmod 700 /mnt
for name in parts crypt mirror scsi sata nvme bound hidden; do mkdir -p /mnt/$name; done
mount -t ext4 /dev/vda1 /mnt/parts
mount -t ext4 /dev/dm-1 /mnt/crypt
mount -t ext4 /dev/md0 /mnt/mirror
mount -t ext4 /dev/$SCSI /mnt/scsi
mount -t xfs /dev/$SATA /mnt/sata
mount -t btrfs /dev/nvme0n1 /mnt/nvme
mount -o bind /mnt/scsi /mnt/bound
"""


def partitions(path, *sizes):
    """A table of two or more, as a BIOS would read it."""
    table, start = b"", 2048
    for size in sizes:
        sectors = size * MIB // 512
        table += struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", start, sectors)
        start += sectors
    with open(path, "r+b") as file:
        file.seek(446)
        file.write(table.ljust(64, b"\0") + b"\x55\xaa")


def attach(folder):
    arguments = [word for controller in CONTROLLERS for word in ("-device", controller)]
    for name, (size, device, make) in DISKS.items():
        path = folder / name
        with open(path, "wb") as file:
            file.truncate(size * MIB)
        if make:
            subprocess.run([f"mkfs.{make}", "-q", path], check=True, capture_output=True)
        if name == "parts":
            partitions(path, 16, 40)
        arguments += ["-drive", f"if=none,id={name},format=raw,discard=unmap,file={path}", "-device", f"{device},drive={name}"]
    return arguments


@pytest.fixture(scope="module")
def guest(tmp_path_factory, boots):
    """With every disk, and file systems on most of them."""
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        pytest.skip(f"packages are missing: {' '.join(missing)}")
    programs = [shutil.which(tool) for tool in ("dmsetup", "lsblk", "findmnt")]
    folder = tmp_path_factory.mktemp("disks")
    with boots(more=programs, disks=attach(folder)) as guest:
        guest.image = folder
        guest.load_disks()
        guest.shell("for i in $(seq 200); do [ -e /dev/sdd ] && [ -e /dev/vdc ] && [ -e /dev/nvme0n1 ] && break; sleep 0.05; done")
        guest.names = names(guest)
        guest.shell(f"SCSI={guest.names['scsi']} SATA={guest.names['sata']}; {SETUP}", 60)
        yield guest


def names(guest):
    """Which of sda, sdb, ... is which: by the serial number that the disk itself tells."""
    page = "cat $disk/device/vpd_pg80 2>/dev/null | tr -dc 'A-Z0-9-'"
    lines = guest.shell(f"for disk in /sys/block/sd*; do echo ${{disk##*/}} $({page}); done").splitlines()
    serials = {"SC-1": "scsi", "SA-1": "sata", "ID-1": "ide", "": "usb"}  # the one on USB tells the kernel none
    found = {serials[line.partition(" ")[2][-4:]]: line.partition(" ")[0] for line in lines}
    return found | {"parts": "vda", "half1": "vdb", "half2": "vdc", "nvme": "nvme0n1", "shared": "nvme1n1"}


@pytest.fixture
def ask(start):
    """ask(command): of an agent that runs."""
    agent = start()
    with agent.guest.client() as client:
        client.sync()
        yield client.ok


def address(guest, name):
    """bus-type, bus, target, unit and PCI slot that QEMU was asked for."""
    return {"parts": ("virtio", 0, 0, 0, 0x10), "half1": ("virtio", 0, 0, 0, 0x11), "half2": ("virtio", 0, 0, 0, 0x12),
            "scsi": ("scsi", 0, 0, 3, 0x14), "sata": ("sata", 0, 0, 2, 0x1f), "nvme": ("nvme", 0, 0, 0, 0x13), "shared": ("nvme", 0, 0, 0, 0x17),
            "usb": ("usb", 0, 0, 0, 0x15), "ide": ("ide", 1, 0, 1, 0x16)}[name]


def told(entry):
    return entry["bus-type"], entry["bus"], entry["target"], entry["unit"], entry["pci-controller"]["slot"]


def lsblk(guest):
    text = guest.shell("lsblk --json --list --all --output NAME,KNAME,TYPE,SIZE,PKNAME --bytes")
    return json.loads(text)["blockdevices"]


def test_disks_are_those_of_lsblk(guest, ask):
    disks = {row["name"]: row for row in ask("guest-get-disks")}
    listed = {f"/dev/{row['kname']}": row for row in lsblk(guest) if row["size"]}
    assert set(disks) == set(listed)
    for name, row in disks.items():
        assert row["partition"] == (listed[name]["type"] == "part"), name
        assert ("address" in row) == (listed[name]["type"] == "disk"), name
    for name, kernel_name in guest.names.items():
        assert told(disks[f"/dev/{kernel_name}"]["address"]) == address(guest, name), name
        assert disks[f"/dev/{kernel_name}"]["address"]["pci-controller"]["domain"] == 0
    assert disks["/dev/vda1"]["dependencies"] == ["/dev/vda"]
    assert disks["/dev/dm-0"]["dependencies"] == ["/dev/vda2"] and disks["/dev/dm-0"]["alias"] == "vg0-root"
    assert disks["/dev/dm-1"]["dependencies"] == ["/dev/dm-0"] and disks["/dev/dm-1"]["alias"] == "luks-x"
    assert sorted(disks["/dev/md0"]["dependencies"]) == ["/dev/vdb", "/dev/vdc"]


def test_file_systems_are_those_of_findmnt(guest, ask):
    told_of = ask("guest-get-fsinfo")
    text = guest.shell("findmnt --json --list --bytes --real --output TARGET,SOURCE,FSTYPE,USED,SIZE,AVAIL")
    found = {row["target"]: row for row in json.loads(text)["filesystems"] if row["target"].startswith("/mnt")}
    assert [row["mountpoint"] for row in told_of] == ["/mnt/nvme", "/mnt/sata", "/mnt/scsi", "/mnt/mirror", "/mnt/crypt",
                                                      "/mnt/parts"]  # the last mounted first; what is bound, once
    for row in told_of:
        other = found[row["mountpoint"]]
        assert (row["type"], f"/dev/{row['name']}") == (other["fstype"], other["source"].replace("mapper/luks-x", "dm-1"))
        assert row["total-bytes-privileged"] == other["size"] and row["used-bytes"] == other["used"], row
        assert row["total-bytes"] == row["used-bytes"] + other["avail"]
    under = {row["mountpoint"]: {disk["dev"]: disk for disk in row["disk"]} for row in told_of}
    assert set(under["/mnt/crypt"]) == {"/dev/vda2"} and set(under["/mnt/mirror"]) == {"/dev/vdb", "/dev/vdc"}
    assert told(under["/mnt/crypt"]["/dev/vda2"]) == address(guest, "parts")
    for name in ("scsi", "sata", "nvme"):
        assert told(under[f"/mnt/{name}"][f"/dev/{guest.names[name]}"]) == address(guest, name)


def test_serial_numbers_are_udev_s_or_of_nvme(guest, start):
    guest.shell(r"printf 'S:x\nE:ID_SERIAL=0QEMU_DISK_SC-1\n' >/run/udev/data/b$(cat /sys/class/block/%s/dev)" % guest.names["scsi"])
    try:
        start()
        with guest.client() as client:
            client.sync()
            disks = {row["name"]: row.get("address", {}).get("serial") for row in client.ok("guest-get-disks")}
        assert disks[f"/dev/{guest.names['scsi']}"] == "0QEMU_DISK_SC-1"
        assert disks["/dev/nvme0n1"] == "NV-1"
        assert disks["/dev/vda"] is None
    finally:
        guest.shell("rm -f /run/udev/data/*")


def plain(answer):
    """As a set, for qemu-ga goes through folders in no order, and without what it does not tell (sizes as root has them) or
    has from udev only (an alias, a serial number)."""
    text = json.dumps(answer, sort_keys=True)
    rows = json.loads(text)
    for row in rows:
        for key in ("total-bytes-privileged", "smart", "used-bytes", "total-bytes", "alias"):
            row.pop(key, None)
        for part in [row.get("address", {}), *row.get("disk", [])]:
            part.pop("serial", None)
        for key in ("disk", "dependencies"):
            if key in row:
                row[key] = sorted(row[key], key=lambda item: json.dumps(item, sort_keys=True))
    return {json.dumps(row, sort_keys=True) for row in rows}


@pytest.mark.skipif(not has_peer(), reason="qemu-ga is missing (package qemu-guest-agent)")
@pytest.mark.parametrize("command", ["guest-get-disks", "guest-get-fsinfo"])
def test_as_qemu_ga_tells_it(guest, start, command):
    answers = []
    for kind in (Inside, PeerInside):
        agent = start(kind=kind)
        with guest.client() as client:
            client.sync()
            answers.append(client.ok(command))
        agent.stop()
    ours, theirs = answers
    if command == "guest-get-fsinfo":  # 7.2 lists a bind mount as one more file system
        theirs = [row for row in theirs if row["mountpoint"] != "/mnt/bound"]
        assert [row["mountpoint"] for row in ours] == [row["mountpoint"] for row in theirs]
    if command == "guest-get-disks":  # 7.2 knows no USB, and not what several controllers lead to
        unknown = {row["name"] for row in theirs if row.get("address", {}).get("bus-type") == "unknown"}
        assert unknown == {f"/dev/{guest.names[name]}" for name in ("usb", "shared")}
        ours, theirs = ([row for row in rows if row["name"] not in unknown] for rows in (ours, theirs))
    assert plain(ours) == plain(theirs)


def trimmed(guest, kind, start, minimum=None):
    agent = start(kind=kind)
    with guest.client(60) as client:
        client.sync()
        rows = client.ok("guest-fstrim", {"minimum": minimum} if minimum is not None else None)["paths"]
    text = guest.shell("cat /tmp/agent/bulkhead/audit/*.log") if kind is Inside else ""
    agent.stop()
    return {row["path"]: row for row in rows}, [row["path"] for row in rows], text


def test_trim_gives_blocks_back(guest, start):
    """What was written and deleted takes no room on the host any more."""
    image = guest.image / "parts"
    guest.shell("dd if=/dev/urandom of=/mnt/parts/file bs=1M count=8 2>/dev/null; sync; rm /mnt/parts/file; sync; sleep 0.2")
    before = image.stat().st_blocks
    rows, order, audit = trimmed(guest, Inside, start)
    assert order == ["/mnt/nvme", "/mnt/sata", "/mnt/scsi", "/mnt/mirror", "/mnt/crypt", "/mnt/parts"]
    assert rows["/mnt/parts"]["trimmed"] >= 8 * MIB and rows["/mnt/parts"]["minimum"] >= 0
    assert before - image.stat().st_blocks >= 7 * MIB // 512
    assert rows["/mnt/crypt"] == {"path": "/mnt/crypt", "error": "trim not supported"}  # its table does not let discards through
    acts = [json.loads(line) for line in audit.splitlines() if '"guest-fstrim"' in line]
    assert {"act", "closed"} & {row["kind"] for row in acts} and "act" in {row["kind"] for row in acts}


@pytest.mark.skipif(not has_peer(), reason="qemu-ga is missing (package qemu-guest-agent)")
@pytest.mark.parametrize("minimum", [None, 0, 4096, -1])
def test_trim_as_qemu_ga_tells_it(guest, start, minimum):
    ours, theirs = (trimmed(guest, kind, start, minimum) for kind in (Inside, PeerInside))
    theirs[0].pop("/mnt/bound")
    assert ours[1] == [path for path in theirs[1] if path != "/mnt/bound"]
    for path, row in ours[0].items():
        assert set(row) == set(theirs[0][path]) and row.get("error") == theirs[0][path].get("error"), path
        assert row.get("minimum") == theirs[0][path].get("minimum"), path


def test_what_lies_under_another_mount_is_told_without_the_other_s_sizes(guest, start):
    guest.shell(f"mke2fs /dev/{guest.names['usb']} >/dev/null; mount -t ext4 /dev/{guest.names['usb']} /mnt/hidden;"
                "mount -t tmpfs tmpfs /mnt/hidden")
    try:
        start()
        with guest.client(60) as client:
            client.sync()
            first = client.ok("guest-get-fsinfo")[0]
            trim = client.ok("guest-fstrim")["paths"][0]
    finally:
        guest.shell("umount /mnt/hidden; umount /mnt/hidden")
    assert (first["mountpoint"], first["name"]) == ("/mnt/hidden", guest.names["usb"])
    assert not {"used-bytes", "total-bytes", "total-bytes-privileged"} & set(first)
    assert trim == {"path": "/mnt/hidden", "error": "failed to open: No such device"}


def test_nothing_is_kept_busy(guest, start):
    """Also after an answer: whoever wants to unmount does."""
    guest.shell(f"mke2fs /dev/{guest.names['usb']} >/dev/null; mount -t ext4 /dev/{guest.names['usb']} /mnt/hidden")
    start()
    with guest.client(60) as client:
        client.sync()
        assert client.ok("guest-get-fsinfo")[0]["mountpoint"] == "/mnt/hidden"
        client.ok("guest-fstrim")
        guest.shell("umount /mnt/hidden")
        assert client.ok("guest-get-fsinfo")[0]["mountpoint"] == "/mnt/nvme"  # and the same process sees what is new


SMART = "policy 1\ncommands 49\nuse open\nset nvme-smart yes\n"
HEALTH_COUNTERS = ["data-units-read", "data-units-written", "host-read-commands", "host-write-commands", "controller-busy-time",
                   "power-cycles", "power-on-hours", "unsafe-shutdowns", "media-errors", "number-of-error-log-entries"]
HEALTH = {"type", "critical-warning", "temperature", "available-spare", "available-spare-threshold", "percentage-used",
          *(f"{name}-{half}" for name in HEALTH_COUNTERS for half in ("lo", "hi"))}


def health(guest, start, **options):
    """The agent, and {disk: its health log}."""
    agent = start(**options)
    with guest.client() as client:
        client.sync()
        return agent, {row["name"]: row["smart"] for row in client.ok("guest-get-disks") if "smart" in row}


def test_health_of_nvme_disks_if_the_policy_says_so(guest, start):
    agent, disks = health(guest, start, policy=SMART)
    assert set(disks) == {"/dev/nvme0n1", "/dev/nvme1n1"}, agent.log()
    for log in disks.values():
        assert set(log) == HEALTH and log["type"] == "nvme"
        assert 273 < log["temperature"] < 373 and log["available-spare"] <= 100 and log["media-errors-lo"] == 0
    guest.shell("dd if=/dev/nvme0n1 of=/dev/null bs=1M count=64 iflag=direct 2>/dev/null || cat /dev/nvme0n1 >/dev/null")
    with guest.client() as client:  # and once more: each list has a process of its own
        client.sync()
        again = {row["name"]: row["smart"] for row in client.ok("guest-get-disks") if "smart" in row}
    assert again["/dev/nvme0n1"]["host-read-commands-lo"] > disks["/dev/nvme0n1"]["host-read-commands-lo"]
    wait_for(lambda: "smart" not in agent.processes(), 5, "its end")
    assert "bulkhead-smart" not in agent.log() and "/smart" not in agent.log(), agent.log()


def expect_difference(row_id, ours, theirs):
    row = next(row for row in json.loads((ROOT / "tests" / "differences.json").read_text()) if row["id"] == row_id)
    assert re.search(row["ours"], json.dumps(ours)) and re.search(row["peer"], json.dumps(theirs)), row_id


def test_no_health_of_disks_unless_the_policy_says_so(guest, start):
    agent, disks = health(guest, start)
    assert disks == {}
    assert "smart" not in {row["role"] for row in agent.status()["processes"]}


@pytest.mark.skipif(not has_peer(), reason="qemu-ga is missing (package qemu-guest-agent)")
def test_health_as_qemu_ga_tells_it(guest, start):
    agent, unasked = health(guest, start)
    agent.stop()
    agent, ours = health(guest, start, policy=SMART)
    agent.stop()
    theirs = health(guest, start, kind=PeerInside)[1]
    expect_difference("health-of-disks-if-asked-for", unasked, theirs)
    expect_difference("health-of-namespaces", ours, theirs)
    ours, theirs = ours["/dev/nvme0n1"], theirs["/dev/nvme0n1"]
    assert set(ours) == set(theirs)
    for name, value in ours.items():  # it was asked later
        assert value <= theirs[name] if name.endswith("-lo") else value == theirs[name], name


def test_a_reload_begins_and_ends_the_telling_of_health(guest, start):
    def told():
        with guest.client() as client:
            client.sync()
            return {row["name"] for row in client.ok("guest-get-disks") if "smart" in row}

    agent, disks = health(guest, start, policy=SMART.replace("yes", "no"))
    assert not disks
    for old, new in (("no", "yes"), ("yes", "no")):
        guest.shell(f"sed -i 's/smart {old}/smart {new}/' {HOME}/policy; kill -HUP {agent.pid}")
        wait_for(lambda: told() == ({"/dev/nvme0n1", "/dev/nvme1n1"} if new == "yes" else set()), 5, f"{new} in force")
