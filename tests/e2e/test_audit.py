"""Each refusal and each act has its record, the chain holds, and neither a SIGKILL nor a full disk loses evidence."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from harness import KIB, MIB, ROOT, kill, wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def agent(start):
    return start("open")


def settled(agent, count, kind):
    return wait_for(lambda: len(rows := agent.audit(kind)) >= count and rows, 10, f"{count} records of kind {kind}")


def test_an_open_that_writes_is_recorded_before_and_after(agent, folder):
    with agent.client() as client:
        handle = client.open(folder / "f", "w")
        client.write(handle, b"abc")
        client.write(handle, b"defg")
        client.close_file(handle)
    closed = [row for row in settled(agent, 1, "closed") if row["handle"] == handle][0]
    assert closed["written"] == 7
    opened = agent.record(closed["of"])
    assert opened["kind"] == "act" and opened["obj"] == str(folder / "f") and opened["cmd"] == "guest-file-open"
    results = [row for row in agent.audit("result") if row.get("of") == opened["n"]]
    assert len(results) == 1
    agent.verify()


def test_read_bytes_are_summed(agent, folder):
    (folder / "f").write_bytes(b"x" * 10000)
    with agent.client() as client:
        handle = client.open(folder / "f")
        for _ in range(10):
            client.read(handle, 1000)
        client.close_file(handle)
    row = [row for row in settled(agent, 1, "closed") if row["handle"] == handle][0]
    assert row["read"] == 10000
    assert not [row for row in agent.audit() if row.get("cmd") == "guest-file-read" and row["kind"] in ("act", "result")]


def test_every_refusal_has_the_record_that_its_error_names(start, folder):
    agent = start('policy 1\nuse standard\nrule logs: allow @file-read {\n    path beneath "/var/log"\n}\n')
    numbers = []
    with agent.client() as client:
        for n in range(50):
            numbers.append(client.error("guest-file-open", {"path": f"{folder}/no{n}"})[3])
    assert len(set(numbers)) == 50
    for n, number in enumerate(numbers):
        row = agent.record(number)
        assert (row["kind"], row["code"], row["obj"]) == ("refused", "BH1202", f"{folder}/no{n}")
    agent.verify()


def test_pings_are_counted_not_recorded(agent):
    with agent.client() as client:
        for _ in range(500):
            client.ok("guest-ping")
    assert not [row for row in agent.audit() if row.get("cmd") == "guest-ping"]


def test_hostile_names_cannot_forge_a_line(agent, folder):
    name = 'x\n{"n":1,"kind":"act"}\x1b[31m"\\'
    with agent.client() as client:
        client.close_file(client.open(folder / name, "w"))
    rows = settled(agent, 1, "closed")
    assert any(row.get("obj") == str(folder / name) for row in agent.audit("act"))
    raw = b"".join(path.read_bytes() for path in agent.audit_dir.glob("*.log"))
    assert b"\x1b" not in raw and rows
    agent.verify()


@pytest.mark.parametrize("change", ["edit", "cut", "drop", "swap"])
def test_verify_finds_a_change(agent, folder, change):
    with agent.client() as client:
        for n in range(5):
            client.close_file(client.open(folder / f"f{n}", "w"))
    settled(agent, 5, "closed")
    agent.stop()
    agent.verify()
    path = sorted(agent.audit_dir.glob("*.log"))[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    if change == "edit":
        lines[middle] = lines[middle].replace(b'"kind":"', b'"kind":"x', 1)
    elif change == "cut":
        lines[-1] = lines[-1][:-10]
    elif change == "drop":
        del lines[middle]
    else:
        lines[middle], lines[middle + 1] = lines[middle + 1], lines[middle]
    path.write_bytes(b"".join(lines))
    done = agent.ctl("audit", "verify", "--state-dir", agent.folder, check=False)
    assert done.returncode != 0, done.stdout


def all_written(agent, names):
    """Waits until the opens of these files and all that came of them are in the log, and sees that they are there once."""
    for kind in ("act", "result", "closed"):
        settled(agent, len(names), kind)
    assert sorted(row["obj"] for row in agent.audit("act")) == sorted(names)
    assert [len(agent.audit(kind)) for kind in ("act", "result", "closed")] == [len(names)] * 3


def test_killed_audit_loses_nothing(agent, folder):
    """It is killed again and again while files are opened; all opens are in the log, once."""
    names = []
    with agent.client() as client:
        for n in range(60):
            if n % 6 == 3:
                kill(wait_for(lambda: agent.processes("audit"), 10, "an audit process")[0]["pid"])
            names.append(f"{folder}/f{n}")
            client.close_file(client.open(names[-1], "w"))
    all_written(agent, names)
    assert len({row["n"] for row in agent.audit() if "n" in row}) == len([row for row in agent.audit() if "n" in row])
    agent.verify()


@pytest.mark.parametrize("first", ["audit", "agent"])
def test_audit_killed_as_the_agent_stops(agent, folder, first):
    """What waits in the queues has nobody to keep it when the agent is gone: it is written before."""
    pid = agent.pid("audit")
    os.kill(pid, signal.SIGSTOP)
    names = [f"{folder}/f{n}" for n in range(20)]
    with agent.client() as client:
        for name in names:
            client.close_file(client.open(name, "w"))
        fs = agent.pid("fs")
        if first == "audit":  # the supervisor meets both at once
            os.kill(agent.process.pid, signal.SIGSTOP)
            kill(pid)
        agent.process.terminate()
        os.kill(agent.process.pid, signal.SIGCONT)
        if first == "agent":
            wait_for(lambda: fs not in agent.pids(), 5, "the workers to go")
            kill(pid)
    assert agent.process.wait(10) == 0
    all_written(agent, names)
    assert agent.audit("event")[-1]["text"] == "stopping"
    agent.verify()


def test_full_segment_as_the_agent_stops(agent, folder):
    """A successor that wants the next segment of a supervisor that goes still gets all queues, and empties them."""
    deep = folder / "/".join(["d" * 250] * 15)
    deep.mkdir(parents=True)
    pid, opens, log = agent.pid("audit"), 0, next(agent.audit_dir.glob("*.log"))
    with agent.client() as client:
        client.close_file(client.open(deep / "f", "w"))
        settled(agent, 1, "closed")
        os.kill(agent.process.pid, signal.SIGSTOP)  # it does not answer
        while log.stat().st_size < 16 * MIB:
            size = log.stat().st_size
            client.close_file(client.open(deep / "f", "w"))
            wait_for(lambda: log.stat().st_size > size, 5, "the log to grow")
            opens += 1
        for _ in range(20):
            client.close_file(client.open(deep / "f", "w"))
            opens += 1
    kill(pid)
    agent.process.terminate()
    os.kill(agent.process.pid, signal.SIGCONT)
    assert agent.process.wait(10) == 0
    all_written(agent, [str(deep / "f")] * (1 + opens))
    agent.verify()


def test_log_is_for_root_only(agent):
    assert os.stat(agent.audit_dir).st_mode & 0o077 == 0
    for path in agent.audit_dir.iterdir():
        assert os.stat(path).st_mode & 0o077 == 0


FULL_DISK = """
import ctypes, json, os, pathlib, sys
sys.path.insert(0, {tests!r})
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0
folder = pathlib.Path({folder!r})
(folder / "small").mkdir()
assert libc.mount(b"tmpfs", bytes(folder / "small"), b"tmpfs", 0, b"size=256k,mode=700") == 0
from harness import Agent
with Agent(folder / "agent", "open", "--audit-dir", folder / "small") as agent, agent.client() as client:
    refused = done = 0
    for n in range(20000):
        reply = client.call("guest-file-open", {{"path": f"{{folder}}/{{'x' * 200}}{{n % 50}}", "mode": "w"}})
        if "error" in reply:
            refused += 1
            assert "BH1206" in reply["error"]["desc"], reply
            assert client.ok("guest-ping") == {{}}
            assert client.ok("guest-get-host-name")
            if refused == 20:
                break
        else:
            done += 1
            client.close_file(reply["return"])
    print(json.dumps({{"done": done, "refused": refused}}))
"""


def test_full_disk_refuses_mutations_only(folder):
    """The log lies on a tiny file system that nobody else sees. Pings and inventory go on."""
    script = FULL_DISK.format(tests=str(ROOT / "tests" / "e2e"), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["refused"] == 20 and result["done"] > 0


def test_audit_folder_can_be_elsewhere(start, folder):
    (folder / "logs").mkdir()
    agent = start("open", "--audit-dir", folder / "logs")
    with agent.client() as client:
        client.close_file(client.open(folder / "f", "w"))
    wait_for(lambda: any(str(folder / "f") in path.read_text() for path in pathlib.Path(folder / "logs").rglob("*.log")),
             5, "the record in the other folder")
    assert not list(agent.audit_dir.glob("*.log"))
    assert sum(path.stat().st_size for path in (folder / "logs").rglob("*.log")) < 64 * KIB
