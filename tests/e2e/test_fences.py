"""What /proc shows of each running process, against what its row of the design says."""

import os
import pathlib
import re
import shutil
import signal
import struct

import pytest

from harness import BUILD, Agent, kill, proc_status, stat_of, wait_for

pytestmark = pytest.mark.root

POLICY = """policy 1
use standard
deny @freeze, @trim {{ mount beneath "/" }}
rule logs: allow @file-read {{
    path beneath "{0}/logs"
}}
rule spool: allow @file-write {{
    path beneath "{0}/spool"
    user root
}}
"""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN = 1, 2, 21
CAPS = {"front": 0, "info": 0, "audit": 0, "fs": 1 << CAP_DAC_READ_SEARCH, "opener": 1 << CAP_DAC_OVERRIDE,
        "storage": 1 << CAP_SYS_ADMIN | 1 << CAP_DAC_READ_SEARCH, "thaw": 1 << CAP_SYS_ADMIN}


@pytest.fixture
def agent(start, folder):
    """With every process that this build has: each one has worked once."""
    (folder / "logs").mkdir(), (folder / "spool").mkdir()
    (folder / "logs" / "f").write_bytes(b"x")
    agent = start(POLICY.format(folder))
    with agent.client() as client:
        client.ok("guest-get-osinfo")
        client.ok("guest-get-fsinfo")
        client.open(folder / "logs" / "f")
        client.open(folder / "spool" / "f", "w")
        assert client.ok("guest-fsfreeze-freeze-list", {"mountpoints": []}) == 0
        yield agent


def roles(agent):
    return {row["role"]: row for row in agent.processes()}


def test_all_roles_run(agent):
    assert set(roles(agent)) == set(CAPS)


def test_nothing_is_missing(agent):
    """On a kernel with Landlock and the rest; MDWE came with 6.3."""
    allowed = set() if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 3) else {"mdwe"}
    if not landlock():
        allowed.add("landlock")
    for role, row in roles(agent).items():
        assert set(row["missing"]) <= allowed, role


def landlock():
    """ABI version of the running kernel, 0 without."""
    import ctypes
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1))


@pytest.mark.parametrize("role", CAPS)
def test_status(agent, role):
    status = proc_status(roles(agent)[role]["pid"])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == CAPS[role], name
    assert status["Seccomp"].strip() == "2"
    assert status["NoNewPrivs"].strip() == "1"
    uids = set(status["Uid"].split())
    assert len(uids) == 1 and len(set(status["Gid"].split())) == 1
    assert (uids == {"0"}) == (role == "opener")
    assert status["Groups"].split() == []
    assert status["Threads"].strip() == "1"


def test_every_process_has_a_uid_of_its_own(agent):
    uids = [proc_status(row["pid"])["Uid"].split()[0] for row in agent.processes()]
    assert len(set(uids)) == len(uids)


def test_who_holds_sys_admin(agent):
    """The supervisor, and those that ask file systems to freeze, trim and thaw: their filters leave it no other use."""
    holders = {agent.process.pid, *(row["pid"] for role, row in roles(agent).items() if role in ("storage", "thaw"))}
    for pid in agent.pids():
        held = any(int(proc_status(pid)[name], 16) >> CAP_SYS_ADMIN & 1 for name in ("CapPrm", "CapEff", "CapBnd"))
        assert held == (pid in holders)


@pytest.mark.parametrize("role", ["front", "audit", "thaw"])
def test_empty_read_only_root(agent, role):
    pid = roles(agent)[role]["pid"]
    assert os.listdir(f"/proc/{pid}/root/") == []
    mounts = mountinfo(pid)
    assert list(mounts) == ["/"] and "ro" in mounts["/"]


def mountinfo(pid):
    """{mount point: per-mount options}"""
    lines = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return {line.split()[4]: set(line.split()[5].split(",")) for line in lines}


def test_fs_sees_the_readable_folder_only(agent, folder):
    pid = roles(agent)["fs"]["pid"]
    root = f"/proc/{pid}/root"
    assert os.listdir(root + str(folder)) == ["logs"]
    assert not os.path.exists(root + "/etc") and not os.path.exists(root + "/proc/1")
    options = mountinfo(pid)[str(folder / "logs")]
    assert {"ro", "nosuid", "nodev", "noexec"} <= options


def test_opener_sees_the_writable_folder_only(agent, folder):
    pid = roles(agent)["opener"]["pid"]
    root = f"/proc/{pid}/root"
    assert os.listdir(root + str(folder)) == ["spool"]
    assert not os.path.exists(root + "/etc")
    options = mountinfo(pid)[str(folder / "spool")]
    assert {"rw", "nosuid", "nodev", "noexec"} <= options


def test_info_sees_system_facts_only_and_cannot_write_them(agent):
    pid = roles(agent)["info"]["pid"]
    root = f"/proc/{pid}/root"
    assert os.path.exists(root + "/etc/os-release") or os.path.exists(root + "/usr/lib/os-release")
    assert sorted(os.listdir(root + "/proc/self/net")) == ["ipv6_route", "route"]
    for path in ("/root", "/home", "/var/lib", "/bin/sh", "/dev/null", "/run/bulkhead", "/proc/self/net/tcp"):
        assert not os.path.exists(root + path), path
    assert all("ro" in options and "nosuid" in options for options in mountinfo(pid).values())


@pytest.mark.parametrize("role,own", [("front", True), ("fs", True), ("opener", True), ("audit", True), ("info", False),
                                      ("storage", True), ("thaw", True)])
def test_network_namespace(agent, role, own):
    pid = roles(agent)[role]["pid"]
    assert (os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")) == own
    assert os.readlink(f"/proc/{pid}/ns/ipc") != os.readlink("/proc/self/ns/ipc")
    assert (os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")) == (role == "storage")


def test_storage_has_sys_admin_only_under_a_policy_that_grants_trimming(start):
    """Also after a reload: another process comes with what the new policy needs, and the old one goes."""
    texts = {True: "policy 1\ncommands 49\nallow @info, @trim\n", False: "policy 1\ncommands 49\nallow @info\n"}
    agent = start(texts[False])
    pids = set()
    with agent.client() as client:
        for grants in (False, True, True, False):
            agent.write_policy(texts[grants] + f"# {len(pids)}\n")
            before = agent.status()["policy"]
            agent.process.send_signal(signal.SIGHUP)
            wait_for(lambda: agent.status()["policy"] != before, 5, "the reload")
            assert client.ok("guest-get-fsinfo")
            pid = agent.pid("storage")
            pids.add(pid)
            held = int(proc_status(pid)["CapEff"], 16)
            assert held == 1 << CAP_DAC_READ_SEARCH | grants << CAP_SYS_ADMIN
    assert len(pids) == 3


def rogue_storage(folder, policy):
    """An agent, not started, in which rogue-storage.c stands in place of bulkhead-storage and is confined as that is."""
    programs = folder / "bin"
    programs.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy(path, programs)
    shutil.copy(BUILD / "tests" / "e2e" / "rogue-storage", programs / "bulkhead-storage")
    return Agent(folder / "agent", policy, build=programs)


def let_it_try(agent, client):
    client.send(b'{"execute":"guest-get-fsinfo"}')
    wait_for(lambda: "tried all" in agent.log_text(), 5, "the attempts")


def test_storage_lists_folders_and_reads_no_file(folder):
    """What its filter kills is tried in tests/confine."""
    if not landlock():
        pytest.skip("this kernel has no Landlock")
    with rogue_storage(folder, "open") as agent, agent.client() as client:
        let_it_try(agent, client)
        tried = dict(re.findall(r"tried (.*): (.*)", agent.log_text()))
    assert {tried[path] for path in ("/", "/root", "/etc", "/proc/self", "/sys/class/block")} == {"opened"}
    assert tried["/sys/devices/system/cpu/online"] == "opened"
    for path in ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ", "/proc/self/mem", "/proc/1/environ",
                 "/dev/null", "/dev/zero", "/dev/vda", "/sys/kernel/notes", "/proc/kcore", "/usr/bin/env"):
        assert tried[path] == ("Permission denied" if os.path.exists(path) else "No such file or directory"), path


SMART = "policy 1\ncommands 49\nuse open\nset nvme-smart {}\n"


@pytest.mark.parametrize("before", ["no", "yes"])
def test_storage_gets_no_smart_unless_the_policy_says_so(folder, before):
    """Whatever an earlier one said."""
    with rogue_storage(folder, SMART.format(before)) as agent, agent.client() as client:
        agent.write_policy(SMART.format("no") + "# another\n")
        old = agent.status()["policy"]
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: agent.status()["policy"] != old, 5, "the reload")
        let_it_try(agent, client)
        assert re.findall(r"asked for smart: (.*)", agent.log_text()) == ["Permission denied"]
        assert not agent.processes("smart")


def test_smart_sees_nvme_disks_only_and_ends_with_who_asked_for_it(folder):
    with rogue_storage(folder, SMART.format("yes")) as agent, agent.client() as client:
        let_it_try(agent, client)
        log = agent.log_text()
        assert re.findall(r"asked for smart: (.*)", log) == ["given", "given"], log
        assert "smart says of nvme999n1: No such file or directory" in log and "smart says of null: Broken pipe" in log
        wait_for(lambda: proc_status(agent.pid("smart"))["Seccomp"] == "2", 5, "its confinement")
        [row] = wait_for(lambda: [row for row in agent.processes("smart") if not row["missing"]], 5, "all fences")
        status = proc_status(row["pid"])
        assert int(status["CapEff"], 16) == 1 << CAP_SYS_ADMIN | 1 << CAP_DAC_READ_SEARCH
        assert status["Uid"].split() == ["65527"] * 4
        root = f"/proc/{row['pid']}/root"
        assert set(os.listdir(root)) <= {"proc", "dev"}
        if os.path.exists(root + "/dev"):
            assert all(re.fullmatch(r"nvme[0-9]+n[0-9]+", name) for name in os.listdir(root + "/dev"))
        os.kill(agent.pid("storage"), signal.SIGKILL)
        wait_for(lambda: not agent.processes("smart"), 5, "its end, with who asked for it")


def test_front_has_few_descriptors_and_none_of_a_file(agent):
    pid = roles(agent)["front"]["pid"]
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert target.startswith(("socket:", "pipe:", "/memfd:", "/dev/null", "anon_inode:")) or fd == "2", target


def test_guard_has_no_file_but_its_record(agent):
    """And no folder of the guest, while nothing is frozen."""
    pid = roles(agent)["thaw"]["pid"]
    files = {target for fd in os.listdir(f"/proc/{pid}/fd") if fd != "2"
             and not (target := os.readlink(f"/proc/{pid}/fd/{fd}")).startswith(("socket:", "/memfd:", "/dev/null"))}
    assert files == {str(agent.folder / "bulkhead" / "frozen")}


def test_limits(start, folder):
    """Where the log is not a file that grows, a front may grow no file at all."""
    (folder / "agent0").mkdir()
    (folder / "agent0" / "log").symlink_to("/dev/null")
    for row in start("standard").processes():
        limits = pathlib.Path(f"/proc/{row['pid']}/limits").read_text()
        assert "Max core file size        0 " in limits
        if row["role"] == "front":
            assert "Max file size             0 " in limits


def test_workers_without_a_grant_do_not_run(start):
    agent = start("standard")
    with agent.client() as client:
        client.error("guest-file-open", {"path": "/etc/hostname"})
        client.ok("guest-get-host-name")
        assert {row["role"] for row in agent.processes()} <= {"front", "info", "audit"}


def test_environment_is_empty(agent):
    for row in agent.processes():
        names = pathlib.Path(f"/proc/{row['pid']}/environ").read_bytes().split(b"\0")
        assert {name.split(b"=")[0] for name in names if name} <= {b"QGA_OS_RELEASE", b"TZ"}


# The guard of what is frozen. No rule here covers a place where anything is mounted: nothing is really frozen.

GUARDED = 'policy 1\ncommands 49\nallow @sync, @info\nrule nowhere: allow @freeze {\n    mount is "/nowhere/at/all"\n}\n'
MAGIC, FROZEN, HEAD = 0x46525a31, 2, 400  # of struct bh_frozen (protocol/wire/frozen.h)


def guard_of(agent):
    return wait_for(lambda: agent.processes("thaw"), 5, "the guard to run")[0]["pid"]


def record_of_frozen(folder):
    """What an agent leaves whose every process was killed after it froze: of this boot, and of no mount."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    (folder / "bulkhead").mkdir(parents=True, mode=0o700)
    (folder / "bulkhead" / "frozen").write_bytes(struct.pack("=II40s", MAGIC, FROZEN, boot).ljust(HEAD, b"\0"))


def caps_of(pid):
    status = proc_status(pid)
    return {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def test_the_guard_sees_nothing(start):
    agent = start(GUARDED)
    with agent.client() as client:
        assert client.ok("guest-fsfreeze-freeze") == 0
    pid = guard_of(agent)
    status = proc_status(pid)
    assert caps_of(pid) == {1 << CAP_SYS_ADMIN}
    assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip(), status["Groups"].split()) == ("2", "1", [])
    assert len(set(status["Uid"].split())) == 1 and "0" not in status["Uid"].split()
    assert os.listdir(f"/proc/{pid}/root/") == [] and list(mountinfo(pid)) == ["/"]
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def test_a_guard_that_recovers_sees_mounts_and_reads_folders(start, folder):
    """It has to find again what is frozen; it is the only one."""
    record_of_frozen(folder / "agent0")
    agent = start(GUARDED)
    pid = guard_of(agent)
    assert caps_of(pid) == {1 << CAP_SYS_ADMIN | 1 << CAP_DAC_READ_SEARCH}
    assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    with agent.client() as client:
        wait_for(lambda: client.ok("guest-get-osinfo"), 5, "all to be thawed")
        os.kill(pid, signal.SIGKILL)
        assert client.ok("guest-fsfreeze-freeze") == 0
    assert caps_of(wait_for(lambda: (new := guard_of(agent)) != pid and new, 5, "a new guard")) == {1 << CAP_SYS_ADMIN}


def test_the_guard_outlives_the_supervisor_and_ends_by_itself(start):
    agent = start(GUARDED)
    with agent.client() as client:
        assert client.ok("guest-fsfreeze-freeze") == 0
    pid = guard_of(agent)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: stat_of(pid)[2] == "T", 5, "the guard to stand still")
    kill(agent.process.pid)
    agent.process.wait()
    assert stat_of(pid)[2] == "T"  # no signal came with the supervisor's end
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: stat_of(pid) is None or stat_of(pid)[2] == "Z", 5, "the guard to end")
