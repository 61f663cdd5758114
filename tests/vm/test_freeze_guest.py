"""Freezing all of a guest, `/` and what the agent itself lives on: what can be shown nowhere else.

The guest's root is an ext4 file system on a disk, with the programs, the policy, the audit log and the text log; /run and
/tmp are in memory, as in life. Around it is mounted what is awkward to freeze. The test's shell writes nothing to a disk.
"""

import json
import re
import shutil
import subprocess
import time

import pytest

from guest import Host
from harness import MIB, wait_for
from inside import HOME, Inside, PeerInside, has_peer
from test_clients import KubeVirt, Libvirt, Proxmox, lines_of

TOOLS = {"dmsetup": "dmsetup", "btrfs": "btrfs-progs", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs",
         "mkfs.vfat": "dosfstools"}
DISKS = [(256, "mkfs.ext4 -q"), (48, "mkfs.ext4 -q"), (300, "mkfs.xfs -q"), (128, "mkfs.btrfs -q"), (8, "mkfs.vfat"), (32, None),
         (8, "mkfs.ext4 -q")]  # vda, vdb, ...: MiB, its make
LOGS = "/var/log/bulkhead"
TEXT = "/var/log/bulkhead.log"

# On /data lies the file of /loop, and /data is bound before and after that is mounted.
SETUP = """
set -e
cd /
mkdir -p data early late loop xfs btrfs sub fat linear crypt hidden over
mount -t ext4 /dev/vdb /data
mount -o bind /data /early
dd if=/dev/zero of=/data/image bs=1M count=8 2>/dev/null
mke2fs -F /data/image >/dev/null
mount -t ext4 -o loop /data/image /loop
mount -o bind /data /late
mount -t xfs /dev/vdc /xfs
mount -t btrfs /dev/vdd /btrfs
btrfs -q subvolume create /btrfs/sub
mount -t btrfs -o subvol=sub /dev/vdd /sub
mount -t vfat /dev/vde /fat
dmsetup create --noudevsync one --table "0 32768 linear /dev/vdf 0"
dmsetup create --noudevsync two --table "0 32768 linear /dev/vdf 32768"
key=$(printf '%064d' 7)$(printf '%064d' 8)
dmsetup create --noudevsync luks --table "0 32768 crypt aes-xts-plain64 $key 0 /dev/dm-1 0"
mke2fs /dev/dm-0 >/dev/null
mke2fs /dev/dm-2 >/dev/null
mount -t ext4 /dev/dm-0 /linear
mount -t ext4 /dev/dm-2 /crypt
mount -t ext4 /dev/vdg /hidden
mount -t tmpfs tmpfs /hidden
mkdir -p /data/upper /data/work
mount -t overlay -o lowerdir=/etc,upperdir=/data/upper,workdir=/data/work overlay /over
"""
FROZEN = ["/loop", "/crypt", "/linear", "/btrfs", "/xfs", "/data", "/"]  # each once: one that lies on another comes first
WRITTEN = [*FROZEN, "/early", "/late", "/sub", "/over"]                  # places where a writer waits meanwhile

POLICY = "policy 1\ncommands 49\nallow @sync, @info, @freeze\n"
LEASE = POLICY + "set freeze-timeout 2s\n"
HOLD = POLICY + "set freeze-on-restart hold\n"


@pytest.fixture(scope="module")
def guest(tmp_path_factory, boots):
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        pytest.skip(f"packages are missing: {' '.join(missing)}")
    with boots(more=[shutil.which("dmsetup"), shutil.which("btrfs")], disks=attach(tmp_path_factory.mktemp("disks")),
               root="vda") as guest:
        guest.shell(SETUP, 60)
        yield guest


def attach(folder):
    arguments = []
    for number, (size, make) in enumerate(DISKS):
        path = folder / str(number)
        with open(path, "wb") as file:
            file.truncate(size * MIB)
        if make:
            subprocess.run([*make.split(), path], check=True, capture_output=True)
        arguments += ["-drive", f"if=none,id=disk{number},format=raw,discard=unmap,file={path}",
                      "-device", f"virtio-blk-pci,drive=disk{number},addr={0x10 + number:#x}"]
    return arguments


@pytest.fixture(autouse=True)
def thawed(guest, start):
    """Whatever the test did, the next one finds all thawed; and so does the agent that is to end."""
    yield
    guest.shell(f"for place in {' '.join(reversed(FROZEN))}; do fsfreeze --unfreeze $place 2>/dev/null; done; true")


class OnDisk(Inside):
    """The agent with all that a distribution would have it keep on `/`."""

    state = HOME

    def command(self):
        self.guest.shell(f"rm -rf {LOGS} {TEXT}; mkdir -p /etc/bulkhead {self.state} {LOGS}; umask 077; "
                         f"printf '%s' '{self.policy}' >/etc/bulkhead/policy")
        return ["bulkhead", "-t", self.state, "--audit-dir", LOGS, "-l", TEXT, *self.options]

    def audit(self):
        text = self.guest.shell(f"cat {LOGS}/*.log")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def verify(self):
        return self.guest.shell(f"bulkheadctl audit verify --dir {LOGS}")

    def kill_all(self):
        """At once, so that nobody sees another die."""
        family = list(self.stats())
        names = " ".join(map(str, family))
        self.guest.shell(f"kill -STOP {names}; kill -KILL {names}", check=False)  # one that had done its work has ended
        left = " ".join(f"/proc/{pid}" for pid in family)
        wait_for(lambda: not self.guest.shell(f"ls -d {left} 2>/dev/null; true"), 5, "all to end")


class OnDiskForGood(OnDisk):
    """Its state folder outlives the guest, as nobody should have it."""

    state = "/var/lib/agent"


def frozen(guest):
    """What the kernel says. What is thawed is frozen for an instant."""
    script = "fsfreeze --freeze $place 2>/dev/null && fsfreeze --unfreeze $place || echo $place"
    return guest.shell(f"for place in {' '.join(FROZEN)}; do {script}; done").split()


class Writers:
    """One in each place, each a process of the guest."""

    def __init__(self, guest, places=WRITTEN):
        self.guest, self.places = guest, places
        one = "dd if=/dev/urandom of=$place/file bs=1k count=20 conv=fsync && echo $place >>/tmp/written"
        guest.shell(f"rm -f /tmp/written; touch /tmp/written; for place in {' '.join(places)}; do "
                    f"( {one} ) >/dev/null 2>&1 </dev/null & done")

    def done(self):
        return set(self.guest.shell("cat /tmp/written").split())

    def finish(self):
        wait_for(lambda: self.done() == set(self.places), 10, f"all writers to end; there ended only {self.done()}")


def soil(guest):
    """Leaves something to be written when it is frozen: what lies on another writes there."""
    guest.shell(f"for place in {' '.join(FROZEN)}; do dd if=/dev/urandom of=$place/dirt bs=1k count=200 2>/dev/null; done")


def quickly(client, command, seconds=1.0):
    """Its answer, which came at once; the guest is an emulated one."""
    began = time.monotonic()
    reply = client.ok(command)
    assert time.monotonic() - began < seconds, command
    return reply


def expect_late_thaw(client, why):
    kind, text, code, _ = client.error("guest-fsfreeze-thaw")
    assert (kind, code) == ("GenericError", 1302) and why in text, text


# All of it.

def test_all_is_frozen_and_thawed(guest, start):
    """Twice, for the second one must find the guest as the first one did. On these mounts qemu-ga waits for itself for
    ever: it freezes /late, which is /data, before /loop, whose file lies there."""
    start(kind=OnDisk, policy=POLICY)
    with guest.client(30) as client:
        client.sync()
        for _ in range(2):
            assert frozen(guest) == []
            soil(guest)
            assert client.ok("guest-fsfreeze-freeze") == len(FROZEN)
            assert frozen(guest) == FROZEN and client.ok("guest-fsfreeze-status") == "frozen"
            writers = Writers(guest, [*WRITTEN, "/fat"])
            time.sleep(0.7)
            assert writers.done() == {"/fat"}  # cannot be frozen
            assert client.ok("guest-fsfreeze-thaw") == len(FROZEN)
            writers.finish()
            assert frozen(guest) == [] and client.ok("guest-fsfreeze-status") == "thawed"
            assert client.ok("guest-fsfreeze-thaw") == 0


def test_only_ours_is_thawed(guest, start):
    start(kind=OnDisk, policy=POLICY)
    with guest.client(30) as client:
        client.sync()
        guest.shell("fsfreeze --freeze /xfs")
        assert client.ok("guest-fsfreeze-freeze") == len(FROZEN) - 1
        assert frozen(guest) == FROZEN
        assert client.ok("guest-fsfreeze-thaw") == len(FROZEN) - 1
        assert frozen(guest) == ["/xfs"]


def test_answers_at_once_while_its_own_disk_is_frozen(guest, start):
    agent = start("-v", kind=OnDisk, policy=POLICY)
    refused = []
    with guest.client(30) as client:
        client.sync()
        client.ok("guest-get-osinfo")
        client.ok("guest-fsfreeze-freeze")
    before = guest.shell(f"cat {TEXT}")
    for _ in range(10):  # a host that comes for each question
        with guest.client(5) as client:
            client.sync(1)
            assert quickly(client, "guest-ping") == {}
            assert quickly(client, "guest-fsfreeze-status") == "frozen"
            enabled = {row["name"] for row in quickly(client, "guest-info", 2)["supported_commands"] if row["enabled"]}
            assert "guest-fsfreeze-thaw" in enabled and "guest-get-osinfo" not in enabled
            _, _, code, number = client.error("guest-get-osinfo")
            assert code == 1208
            refused.append(number)
    assert frozen(guest) == FROZEN
    assert guest.shell(f"cat {TEXT}") == before
    wait_for(lambda: "D" not in {fields[0] for fields in agent.stats().values()}, 2, "none of its processes to wait for a disk")
    with guest.client(30) as client:
        client.sync()
        assert client.ok("guest-fsfreeze-thaw") == len(FROZEN)
    wait_for(lambda: set(refused) <= {row.get("n") for row in agent.audit()}, 5, f"the records {refused}")
    rows = agent.audit()
    assert [row["cmd"] for row in rows if row["kind"] == "result" and "fsfreeze" in row["cmd"] and "code" not in row] == \
        ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]
    agent.verify()
    wait_for(lambda: "/hidden is not frozen: No such device" in guest.shell(f"cat {TEXT}"), 5, "the line of the freeze")


def test_lease_runs_out(guest, start):
    agent = start(kind=OnDisk, policy=LEASE)
    with guest.client(30) as client:
        client.sync()
        client.ok("guest-fsfreeze-freeze")
    writers = Writers(guest)
    assert not writers.done()
    writers.finish()
    with guest.client(30) as client:
        client.sync()
        assert client.ok("guest-fsfreeze-status") == "thawed" and frozen(guest) == []
        expect_late_thaw(client, "freeze-timeout")
    wait_for(lambda: "its lease ran out" in json.dumps(agent.audit()), 5, "the event")
    agent.verify()


# Everything is killed.

def test_killed_and_started_again(guest, start):
    """The log and the audit lie on what is frozen, and so the next one thaws first, though the policy says hold."""
    for policy in (POLICY, HOLD):
        agent = start(kind=OnDisk, policy=policy)
        with guest.client(30) as client:
            client.sync()
            client.ok("guest-fsfreeze-freeze")
        agent.kill_all()
        assert frozen(guest) == FROZEN
        agent.run()
        with guest.client(30) as client:
            client.sync()
            wait_for(lambda: client.ok("guest-fsfreeze-status") == "thawed", 5, "the status")
            assert frozen(guest) == []
            expect_late_thaw(client, "guarded")
            assert client.ok("guest-fsfreeze-freeze") == len(FROZEN)
            assert client.ok("guest-fsfreeze-thaw") == len(FROZEN)
        agent.verify()
        agent.stop()


def test_killed_and_held(guest, start):
    """With its folders in memory."""
    agent = start(policy=HOLD)
    with guest.client(30) as client:
        client.sync()
        client.ok("guest-fsfreeze-freeze")
    OnDisk.kill_all(agent)
    assert frozen(guest) == FROZEN
    agent.run()
    with guest.client(30) as client:
        client.sync()
        assert client.ok("guest-fsfreeze-status") == "frozen" and frozen(guest) == FROZEN
        assert client.ok("guest-fsfreeze-thaw") == len(FROZEN)
        assert frozen(guest) == [] and client.ok("guest-fsfreeze-thaw") == 0


# Hooks.

HOOK = """#!/bin/sh
echo "${0##*/} $1" >>/tmp/hooks
echo "$1" >>/hooked # waits for as long as this is frozen
"""


@pytest.fixture
def hooks(guest):
    """hooks({path: text}): as root would install them."""
    paths = []

    def install(files):
        for path, text in files.items():
            paths.append(path)
            guest.shell(f"mkdir -p {path.rpartition('/')[0]}; cat >{path} <<'END'\n{text}END\nchmod 755 {path}")
    guest.shell("rm -f /tmp/hooks /hooked; touch /tmp/hooks")
    yield install
    guest.shell(f"rm -f {' '.join(paths)}")


def test_hooks_run_around_it(guest, start, hooks):
    hooks({"/etc/bulkhead/freeze.d/10-base": HOOK, "/etc/bulkhead/freeze.d/20-more": HOOK, "/usr/bin/peers-hook": HOOK})
    agent = start("-F/usr/bin/peers-hook", kind=OnDisk, policy=POLICY)
    first = ["peers-hook freeze", "10-base freeze", "20-more freeze"]
    last = ["20-more thaw", "10-base thaw", "peers-hook thaw"]
    with guest.client(30) as client:
        client.sync()
        assert client.ok("guest-fsfreeze-freeze") == len(FROZEN)
        assert guest.shell("cat /tmp/hooks").splitlines() == first
        assert frozen(guest) == FROZEN
        assert client.ok("guest-fsfreeze-thaw") == len(FROZEN)
        assert guest.shell("cat /tmp/hooks").splitlines() == first + last
    assert guest.shell("cat /hooked").split() == ["freeze"] * 3 + ["thaw"] * 3
    results = lambda: [row for row in agent.audit() if (row["src"], row["kind"]) == ("hook", "result")]
    wait_for(lambda: len(results()) == 6, 5, "their records")


def test_a_hook_fails(guest, start, hooks):
    hooks({"/etc/bulkhead/freeze.d/10-base": HOOK, "/etc/bulkhead/freeze.d/20-more": HOOK + "echo no room; [ $1 = thaw ]\n"})
    start(kind=OnDisk, policy=POLICY)
    with guest.client(30) as client:
        client.sync()
        kind, text, _, _ = client.error("guest-fsfreeze-freeze")
        assert kind == "GenericError" and "20-more" in text and "no room" in text
        assert frozen(guest) == [] and client.ok("guest-fsfreeze-status") == "thawed"
        assert guest.shell("cat /tmp/hooks").splitlines() == ["10-base freeze", "20-more freeze", "20-more thaw", "10-base thaw"]


# How the real clients do it: their bytes, and their patience.

def steps(player):
    """{command: (seconds, line)} of its trace; the first of each name."""
    found = {}
    for seconds, _, line in lines_of(player.trace):
        found.setdefault(json.loads(re.sub(r"\$[A-Z]+", "0", line))["execute"], (seconds, line))
    return found


class Attached:
    """A client that is attached as it attaches itself. QEMU's queue of hosts has one place."""

    def __init__(self, guest, player):
        self.guest, self.steps = guest, steps(player)
        self.player = self.attach(lambda: player(guest.folder / "agent", Host))

    def attach(self, attempt):
        def attached():
            try:
                return [attempt()]
            except (BlockingIOError, ConnectionRefusedError):
                return None
        return wait_for(attached, 10, "QEMU to take the host")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.player.close()

    def ask(self, command):
        seconds, line = self.steps[command]
        began = time.monotonic()
        reply = self.attach(lambda: self.player.call(line, seconds, False))
        assert time.monotonic() - began < seconds, command
        assert "return" in reply, reply
        return reply["return"]


@pytest.mark.parametrize("player", [Libvirt, Proxmox, KubeVirt])
def test_as_a_client_does_it(guest, start, player):
    start(kind=OnDisk, policy=POLICY)
    with Attached(guest, player) as host:
        assert host.ask("guest-fsfreeze-freeze") == len(FROZEN)
        for _ in range(3 if "guest-fsfreeze-status" in host.steps else 0):
            time.sleep(0.3)
            assert host.ask("guest-fsfreeze-status") == "frozen"
        assert frozen(guest) == FROZEN
        assert host.ask("guest-fsfreeze-thaw") == len(FROZEN)
        if player is not Libvirt:
            assert host.ask("guest-fsfreeze-status") == "thawed"
        assert frozen(guest) == []


def test_status_waits_behind_a_freeze(guest, start, hooks):
    """A host that has not waited for the freeze comes back and asks: what it is told is what came of it."""
    hooks({"/etc/bulkhead/freeze.d/10-slow": "#!/bin/sh\nsleep 1\n"})
    start(kind=OnDisk, policy=POLICY)
    with guest.client(30) as client:
        client.sync()
        client.send(steps(Proxmox)["guest-fsfreeze-freeze"][1].encode() + b"\n")
        time.sleep(0.3)
    with Attached(guest, Proxmox) as host:
        assert host.ask("guest-fsfreeze-status") == "frozen"
        assert frozen(guest) == FROZEN
        assert host.ask("guest-fsfreeze-thaw") == len(FROZEN)


# Beside qemu-ga.

@pytest.mark.skipif(not has_peer(), reason="qemu-ga is missing (package qemu-guest-agent)")
def test_as_qemu_ga_freezes(guest, start):
    """Without /late, which has it wait for itself."""
    answers = []
    guest.shell("umount /late")
    try:
        for kind, options in ((PeerInside, {}), (OnDisk, {"policy": POLICY})):
            agent = start(kind=kind, **options)
            with guest.client(30) as client:
                client.sync()
                told = [client.ok(f"guest-fsfreeze-{command}") for command in ("status", "freeze", "status")]
                kernel = frozen(guest)
                answers.append(told + [client.ok(f"guest-fsfreeze-{command}") for command in ("thaw", "status", "thaw")] + kernel)
            assert frozen(guest) == []
            agent.stop()
    finally:
        guest.shell("mount -o bind /data /late")
    assert answers[0] == answers[1] and answers[1][1] == len(FROZEN)


# The policy.

def test_trim_where_a_rule_allows_it(guest, start):
    start(kind=OnDisk, policy=POLICY + 'allow @trim { mount beneath "/data" }\n')
    with guest.client(60) as client:
        client.sync()
        rows = {row["path"]: row for row in client.ok("guest-fstrim")["paths"]}
    allowed = {path for path, row in rows.items() if row.get("error") != "denied by policy"}
    assert rows and len(allowed) == 1 and allowed <= {"/data", "/early", "/late"}
    assert rows[allowed.pop()]["trimmed"] >= 0
    assert {"/", "/xfs"} <= set(rows)


# The guest itself is gone. (The last test: the guest is another one afterwards.)

def test_power_cut_while_frozen(guest, start):
    """The record of another boot says nothing of this one, whose mounts have the same numbers."""
    killed = start(kind=OnDiskForGood, policy=HOLD)
    with guest.client(30) as client:
        client.sync()
        client.ok("guest-fsfreeze-freeze")
    guest.reboot()
    killed.pid = None  # of the new guest it would be another
    state = guest.shell(f"od -An -tu4 -j4 -N4 {OnDiskForGood.state}/bulkhead/frozen")
    assert int(state) != 0, "there is nothing to be mistaken for a freeze of this boot"
    guest.shell("mount -t ext4 /dev/vdb /data; fsfreeze --freeze /data")
    agent = start(kind=OnDiskForGood, policy=HOLD)
    with guest.client(30) as client:
        client.sync()
        assert client.ok("guest-fsfreeze-status") == "thawed" and client.ok("guest-fsfreeze-thaw") == 0
        guest.shell("fsfreeze --unfreeze /data")  # fails if somebody has done it
        assert client.ok("guest-fsfreeze-freeze") == 2 and client.ok("guest-fsfreeze-thaw") == 2
    assert agent.stop() == 0
