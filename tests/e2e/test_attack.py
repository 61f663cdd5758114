"""Attacks on the supervisor and on what it keeps for others: what a process that was taken over, or a user, tries."""

import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from frozen import FROZEN, THAWED, Page
from harness import BUILD, MIB, Agent, kill, proc_status, stat_of, wait_for

pytestmark = pytest.mark.root

PROGRAM = {"front": "bulkhead-front", "audit": "bulkhead-audit", "fs": "bulkhead-fs"}


@pytest.fixture
def rogue(folder):
    """rogue(role): an agent in which rogue-loop.c, or another helper, stands in place of that role's program."""
    agents = []

    def run(role, helper="rogue-loop"):
        programs = folder / "bin"
        programs.mkdir()
        for path in BUILD.glob("bulkhead*"):
            if path.is_file() and os.access(path, os.X_OK):
                shutil.copy(path, programs)
        shutil.copy(BUILD / "tests" / "e2e" / helper, programs / PROGRAM[role])
        agent = Agent(folder / "agent", "open", "-v", build=programs)
        agent.answers = lambda: (agent.folder / "bulkhead" / "status.json").exists()
        agents.append(agent)
        agent.start()
        if helper == "rogue-loop" and role != "fs":  # which is started on first use
            wait_for(lambda: int(proc_status(agent.pid(role))["SigBlk"], 16), 5, "the rogue to be at work")
        return agent

    yield run
    for agent in agents:
        agent.stop()


def test_a_flood_of_requests_holds_up_nobody_else(rogue):
    agent = rogue("front")
    for _ in range(5):
        agent.status()


def test_a_process_that_blocks_every_signal_does_not_hold_up_the_end(rogue):
    agent = rogue("front")
    start = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - start < 3


def test_asking_for_segments_does_not_delete_the_log(rogue):
    agent = rogue("audit")
    time.sleep(1)
    agent.status()
    names = sorted(path.name for path in agent.audit_dir.glob("*.log"))
    assert names[0] == "audit-000001.log" and len(names) <= 5


def test_no_segment_is_begun_while_frozen(rogue):
    """A file would be made, and the supervisor would stand still with it. However often one is asked for."""
    agent = rogue("audit")
    names = wait_for(lambda: len(names := sorted(agent.audit_dir.glob("*.log"))) == 5 and names, 5, "what may be begun early")
    page = Page(agent)
    page.say(FROZEN)
    os.truncate(names[-1], 16 * MIB)
    time.sleep(0.5)
    assert len(list(agent.audit_dir.glob("*.log"))) == 5
    page.say(THAWED)
    wait_for(lambda: len(list(agent.audit_dir.glob("*.log"))) == 6, 5, "the next segment")


def test_asking_to_be_replaced_is_no_way_round_the_budget(rogue):
    """A worker may leave for a successor that has a newer policy; one that has none breaks the protocol, and that counts."""
    agent = rogue("fs")
    end, asked = time.monotonic() + 2, 0
    with agent.client() as client:
        while time.monotonic() < end:
            client.error("guest-file-open", {"path": "/etc/hostname"})
            asked += 1
        client.ok("guest-get-host-name")
    assert "fs broke the control protocol" in str(agent.audit("event"))
    starts = agent.log_text().count("fs sent what it may not send")
    assert 1 <= starts <= 20, (starts, asked)


def test_leaving_without_a_client_is_no_way_round_the_budget(rogue):
    """A front may end with status 0 when its client has left: one that had none, or whose client is there, has failed."""
    agent = rogue("front", "rogue-leave")
    time.sleep(1.5)
    assert 1 <= agent.log_text().count("started main/front") <= 8
    with agent.client():
        time.sleep(1.5)
        assert 1 <= agent.log_text().count("started main/front") <= 10
    assert "main/front ended" in str(agent.audit("event"))


def busy(agent, folder):
    """Every process there can be, each with what it holds."""
    client = agent.client()
    client.ok("guest-get-osinfo")
    client.ok("guest-get-fsinfo")
    client.open(folder / "new", "w")
    return client


def test_nobody_can_cut_what_the_supervisor_has_mapped(start, folder):
    agent = start("open")
    with busy(agent, folder):
        for row in agent.processes():
            for fd, size in itertools.product((6, 10), (0, 1, 1 << 20)):
                with pytest.raises(PermissionError):
                    os.truncate(f"/proc/{row['pid']}/fd/{fd}", size)
        agent.status()


def test_descriptors(start, folder):
    """Nobody has what is not his: ten numbers for all, and sockets and files of his own beside them."""
    above = {"front": r"socket", "info": r"/proc/self/net/(ipv6_)?route$", "opener": None,
             "fs": rf"socket|{folder}/new", "audit": r"socket",
             "storage": r"/proc/\d+/mountinfo$|/sys$|/run/udev/data$"}
    agent = start("open")
    with busy(agent, folder):
        rows = agent.processes()
        assert {row["role"] for row in rows} == set(above)
        for row in rows:
            fds = {int(fd): os.readlink(f"/proc/{row['pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{row['pid']}/fd")}
            common = {*range(9), 10}  # 9, the process's own status, is closed when it has been read
            assert common <= set(fds), row
            extra = {target for fd, target in fds.items() if fd not in common}
            assert all(above[row["role"]] and re.match(above[row["role"]], target) for target in extra), (row, fds)


@pytest.mark.parametrize("mode", ["r", "r+", "a"])
def test_the_memory_of_a_process_is_no_file(start, folder, mode):
    agent = start("open")
    (folder / "link").symlink_to("/proc/self/mem")
    with agent.client() as client:
        for path in ("/proc/self/mem", "/proc/thread-self/mem", folder / "link"):
            assert "error" in client.call("guest-file-open", {"path": str(path), "mode": mode})


@pytest.mark.parametrize("mode, owner", [(0o777, 0), (0o775, 0), (0o755, 65534)])
def test_a_state_folder_in_which_others_rename_is_refused(folder, mode, owner):
    (folder / "state").mkdir()
    os.chmod(folder / "state", mode)
    os.chown(folder / "state", owner, owner)
    done = subprocess.run([BUILD / "bulkhead", "-m", "unix-listen", "-p", folder / "s", "-t", folder / "state"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "nobody else may rename" in done.stderr


def hang_at_exit(pid):
    """SIGKILL will not end this process as long as we live: it stops on its way out, as one that hangs in the kernel."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert ptrace(0x4206, pid, None, 0x40) == 0, os.strerror(ctypes.get_errno())  # PTRACE_SEIZE, O_TRACEEXIT


def test_a_worker_that_cannot_be_killed_is_given_up(start, folder):
    agent = start("open")
    client = busy(agent, folder)
    pid = agent.pid("info")
    tracer = os.fork()
    if tracer == 0:
        hang_at_exit(pid)
        os.kill(pid, signal.SIGSTOP)
        signal.pause()
    try:
        wait_for(lambda: stat_of(pid)[2] in "tT", 5, "the stop")
        client.send(b'{"execute":"guest-get-osinfo"}')
        time.sleep(0.05)
        client.send(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":5}}')
        while not client.line(timeout=2).startswith(b"\xff"):
            pass
        wait_for(lambda: "return" in client.call("guest-get-osinfo", timeout=10), 10, "a successor")
        assert stat_of(pid), "it went after all: nothing was shown"
        assert "hangs in the kernel" in agent.log_text()
    finally:
        kill(tracer)
        os.waitpid(tracer, 0)
        client.close()


def test_refusals_cannot_fill_the_log(folder):
    """A client that is refused over and over is slowed down, and each refusal still has its record."""
    count = 250
    with Agent(folder / "agent", 'policy 1\ncommands 49\nuse standard\nallow @file-read { path beneath "/var" }\n') as agent:
        with agent.client() as client:
            start = time.monotonic()
            numbers = {client.error("guest-file-open", {"path": f"/secret{i}"})[3] for i in range(count)}
            assert time.monotonic() - start > 1
            assert len(numbers) == count and None not in numbers
            start = time.monotonic()
            for _ in range(count):
                client.ok("guest-ping")
            assert time.monotonic() - start < 1, "what is allowed is not slowed down"
        wait_for(lambda: {row["n"] for row in agent.audit("refused")} == numbers, 10, "the records")
        agent.verify()


def test_refused_commands_cannot_fill_the_log(start_standard):
    """The front's own refusals are counted beyond a hundred a second."""
    agent = start_standard
    with agent.client() as client:
        for _ in range(2000):
            client.error("guest-file-open", {"path": "/x"})
    wait_for(lambda: sum(row["count"] for row in agent.audit("claim")) == 2000, 10, "all to be counted")
    assert len(agent.audit("claim")) < 1000


@pytest.fixture
def start_standard(folder):
    with Agent(folder / "agent", "standard") as agent:
        yield agent
