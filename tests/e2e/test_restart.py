"""A restart in place: SIGUSR2, and bulkheadctl restart, which waits for what is under way."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import BUILD, Agent, Client, alive, kill, stat_of, wait_for

FILES = 'policy 1\nuse open\nset handle-idle 1h\n'


def restarted(agent, count=1):
    """status.json of the agent once it says that it has been restarted so often."""
    path = agent.folder / "bulkhead" / "status.json"
    return wait_for(lambda: (new := json.loads(path.read_text()))["restarted"] >= count and new, 20, f"restart {count}")


def descriptors(pid):
    """What each number leads to; sockets, pipes and memory without what makes one differ from another of its kind."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[int(number)] = re.sub(r"\d+", "N", os.readlink(f"/proc/{pid}/fd/{number}"))
    return {number: what for number, what in found.items() if not what.endswith("status.json")}  # which is being written


def events(agent):
    return [row["text"].split(":")[0] for row in agent.audit("event") if row["src"] == "supervisor"]


def test_same_process_and_all_else_anew(start):
    agent = start("policy 1\nuse open\n")
    pid = agent.process.pid
    born, before = stat_of(pid)[1], agent.status()
    with agent.client() as client:
        assert client.ok("guest-get-host-name")
        client.open("/etc/hostname")
        old = {number: start for number, start in agent.pids().items() if number != pid}
        assert len(old) >= 4
        agent.write_policy("policy 1\nallow @sync, guest-ping\n")
        agent.process.send_signal(signal.SIGUSR2)
        status = restarted(agent)
        with pytest.raises(Exception):
            client.ok("guest-ping")
    assert not [number for number, start in old.items() if alive(number, start)]
    assert agent.process.poll() is None and stat_of(pid)[1] == born and status["pid"] == pid
    assert status["policy"]["digest"] != before["policy"]["digest"]
    with agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert client.error("guest-get-host-name")[0] == "CommandNotFound"
    agent.stop()
    assert events(agent) == ["started", "restarting", "started", "stopping"]
    agent.verify()


def test_twenty_restarts_leak_nothing(start):
    agent = start("open")
    pid = agent.process.pid
    born, descr = stat_of(pid)[1], None
    with agent.client() as client:
        client.ok("guest-ping")
    for count in range(1, 21):
        agent.process.send_signal(signal.SIGUSR2)
        assert restarted(agent, count)["restarted"] == count
        with agent.client() as client:
            assert client.ok("guest-get-host-name")
        wait_for(lambda: agent.status()["channels"][0]["host"] == "listening", 5, "the client to be gone")
        if descr is None:
            descr = descriptors(pid)
        wait_for(lambda: descriptors(pid) == descr, 5, "the same descriptors as after the first")
    assert stat_of(pid)[1] == born
    assert len(agent.pids()) <= 6


def test_arguments_environment_and_folder_are_its_own(folder):
    """Relative paths, an inherited variable, the name that it was called by."""
    (folder / "state").mkdir()
    (folder / "qemu-ga").symlink_to(BUILD / "bulkhead")
    (folder / "policy").write_text("policy 1\nuse open\n")
    (folder / "policy").chmod(0o600)
    (folder / "release").write_text("ID=marked\n")
    process = subprocess.Popen(["./qemu-ga", "-m", "unix-listen", "-p", "s", "-t", "state", "--policy", "./policy", "-l", "log"],
                               cwd=folder, env={**os.environ, "QGA_OS_RELEASE": "release"}, stderr=subprocess.DEVNULL)
    try:
        status = folder / "state" / "bulkhead" / "status.json"
        wait_for(lambda: status.exists(), 10, "the agent")
        process.send_signal(signal.SIGUSR2)
        wait_for(lambda: json.loads(status.read_text())["restarted"] == 1, 10, "the restart")
        with Client(folder / "s") as client:
            assert client.ok("guest-get-osinfo")["id"] == "marked"
        assert f"qemu-ga[{process.pid}]" in (folder / "log").read_text()
        assert json.loads(status.read_text())["log-file"] == f"{folder}/log"
    finally:
        process.terminate()
        process.wait(10)
    assert process.returncode == 0


def test_daemon_stays_the_daemon(folder):
    pid_file, status, other = folder / "pid", folder / "bulkhead" / "status.json", folder / "other"
    other.mkdir()
    subprocess.run([BUILD / "bulkhead", "--policy", "open", "-t", ".", "-m", "unix-listen", "-p", "s", "-d", "-f", "pid", "-l", "log"],
                   cwd=folder, check=True, timeout=20)
    pid = int(pid_file.read_text())
    try:
        born, inode = stat_of(pid)[1], pid_file.stat().st_ino
        for count in (1, 2):
            kill(pid, signal.SIGUSR2)
            wait_for(lambda: json.loads(status.read_text())["restarted"] == count, 10, "the restart")
            with Client(folder / "s") as client:
                assert client.ok("guest-ping") == {}
            assert pid_file.read_text() == f"{pid}\n" and pid_file.stat().st_ino == inode and stat_of(pid)[1] == born
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            again = subprocess.run([BUILD / "bulkhead", "--policy", "open", "-t", other, "-m", "unix-listen", "-p", folder / "s2",
                                    "-d", "-f", pid_file], capture_output=True, text=True, timeout=20)
            assert again.returncode == 1 and f"process {pid}" in again.stderr
    finally:
        kill(pid, signal.SIGTERM)
        wait_for(lambda: (stat_of(pid) or (0, 0, "Z"))[2] == "Z", 10, "the daemon to end")
    assert not pid_file.exists()


def test_inherited_socket_is_kept(folder):
    """Who connects while the agent restarts waits, and is served."""
    from test_transports import activated
    agent = activated(folder, folder / "given")
    agent.socket = folder / "given"
    with agent:
        inode = os.stat(f"/proc/{agent.process.pid}/fd/3").st_ino
        for count in (1, 2, 3):
            agent.process.send_signal(signal.SIGUSR2)
            with agent.client() as client:
                try:
                    assert client.ok("guest-ping") == {}
                except Exception:  # the one before the restart took it and is gone
                    pass
            assert restarted(agent, count)["channels"][0]["method"] == "unix-listen"
            with agent.client() as client:
                assert client.ok("guest-ping") == {}
            assert os.stat(f"/proc/{agent.process.pid}/fd/3").st_ino == inode
            assert "LISTEN_PID" not in agent.log_text()


def test_mark_of_another_process_means_nothing(folder, monkeypatch):
    monkeypatch.setenv("BULKHEAD_RESTARTED", "1:7")
    with Agent(folder / "a", "open") as agent:
        assert agent.status()["restarted"] == 0


def test_program_that_is_gone(folder):
    """What would only fail is not begun."""
    own = folder / "bin"
    own.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file() and os.access(path, os.X_OK):
            (own / path.name).write_bytes(path.read_bytes())
            (own / path.name).chmod(0o755)
    with Agent(folder / "a", "open", build=own) as agent:
        program = own / "bulkhead"
        program.rename(own / "aside")
        agent.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: f"cannot restart: {program} cannot be executed: No such file" in agent.log_text(), 5, "the refusal")
        with agent.client() as client:
            assert client.ok("guest-ping") == {}
        assert agent.status()["restarted"] == 0
        (own / "aside").rename(program)
        agent.process.send_signal(signal.SIGUSR2)
        assert restarted(agent)


def test_new_program_at_the_same_path(folder):
    """An upgrade puts another file there: that is what runs then."""
    own = folder / "bin"
    own.mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file() and os.access(path, os.X_OK):
            (own / path.name).write_bytes(path.read_bytes())
            (own / path.name).chmod(0o755)
    with Agent(folder / "a", "open", build=own) as agent:
        new = own / "new"
        new.write_bytes((own / "bulkhead").read_bytes())
        new.chmod(0o755)
        new.rename(own / "bulkhead")
        agent.process.send_signal(signal.SIGUSR2)
        restarted(agent)
        assert os.stat(f"/proc/{agent.process.pid}/exe").st_ino == (own / "bulkhead").stat().st_ino


@pytest.mark.parametrize("keep", [True, False])
def test_executions(start, keep):
    """They end with the agent; those of no sandbox live on where the policy says so."""
    agent = start(f"policy 1\nuse open\nset on-restart {'keep' if keep else 'kill'}\n")
    mark = agent.folder / "mark"
    with agent.client() as client:
        script = f"echo $$ >{mark}; while :; do sleep 0.1; echo out; echo . >>{mark}.more; done"
        client.ok("guest-exec", {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True})
        pid = int(wait_for(lambda: mark.exists() and mark.read_text(), 5, "the program"))
    born = stat_of(pid)[1]
    try:
        assert agent.status()["channels"][0]["executions"] == 1
        agent.process.send_signal(signal.SIGUSR2)
        assert restarted(agent)["channels"][0]["executions"] == 0, "it is nobody's any more"
        assert alive(pid, born) is keep
        if keep:
            wait_for(lambda: os.path.exists(f"{mark}.more"), 5, "the first round")
            size = os.stat(f"{mark}.more").st_size
            wait_for(lambda: os.stat(f"{mark}.more").st_size > size + 20, 10, "the program to go on, whoever reads it")
    finally:
        kill(pid)


def test_restart_asked_for_through_the_agent(start):
    """An upgrade that the agent runs waits for all others, not for itself, and sees the new agent."""
    agent = start("policy 1\nuse open\nset on-restart keep\n")
    script = f"exec >{agent.folder}/said 2>&1; {BUILD}/bulkheadctl restart --when-idle --state-dir {agent.folder}; echo status $?"
    with agent.client() as client:
        other = client.ok("guest-exec", {"path": "/bin/sleep", "arg": ["2"]})["pid"]
        client.ok("guest-exec", {"path": "/bin/sh", "arg": ["-c", script]})
        time.sleep(1)
        assert agent.status()["restarted"] == 0 and client.ok("guest-exec-status", {"pid": other}) == {"exited": False}
    restarted(agent)
    said = wait_for(lambda: "status" in (text := (agent.folder / "said").read_text()) and text, 10, "the end of the upgrade")
    assert "Waiting for: 1 running" in said and "was restarted" in said and said.endswith("status 0\n")


# --- bulkheadctl restart ------------------------------------------------------------------------------------------

def ctl_command(agent, *words):
    return [BUILD / "bulkheadctl", "restart", "--state-dir", agent.folder, *words]


def test_ctl_restart(start):
    agent = start("open")
    done = agent.ctl("restart", "--state-dir", agent.folder)
    assert f"as process {agent.process.pid} as before" in done.stdout and agent.status()["restarted"] == 1
    with agent.client() as client:
        assert client.ok("guest-ping") == {}
    done = agent.ctl("restart", "--json", "--state-dir", agent.folder)
    assert json.loads(done.stdout) == {"pid": agent.process.pid, "restarted": True}


def test_ctl_restart_when_idle(start):
    """An open file holds it up; it goes on as soon as that is closed, and says meanwhile what it waits for."""
    agent = start(FILES)
    with agent.client() as client:
        handle = client.open("/etc/hostname")
        waiting = subprocess.Popen(ctl_command(agent, "--when-idle"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert waiting.stderr.readline() == "Waiting for: 0 running, 0 results not fetched, 1 open files\n"
            time.sleep(1)
            assert waiting.poll() is None and agent.status()["restarted"] == 0
            client.close_file(handle)
            out, _ = waiting.communicate(timeout=20)
        finally:
            waiting.kill()
        assert waiting.returncode == 0 and "was restarted" in out
    assert agent.status()["restarted"] == 1


def test_ctl_restart_gives_up(start):
    agent = start(FILES)
    with agent.client() as client:
        handle = client.open("/etc/hostname")
        done = agent.ctl("restart", "--when-idle", "--timeout", "1", "--state-dir", agent.folder, check=False)
        assert done.returncode == 1 and "not idle within 1 s; the agent was not restarted" in done.stderr
        assert client.read(handle)
    assert agent.status()["restarted"] == 0


@pytest.mark.parametrize("words, says", [
    (["x"], "x is one word too many"), (["--timeout", "0"], "--timeout takes seconds"), (["--timeout", "x"], "--timeout takes seconds")])
def test_ctl_restart_usage(folder, words, says):
    done = subprocess.run([BUILD / "bulkheadctl", "restart", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and says in done.stderr


def test_ctl_restart_of_an_agent_that_is_gone(folder):
    with Agent(folder / "a", "open") as agent:
        pass
    done = agent.ctl("restart", "--state-dir", agent.folder, check=False)
    assert done.returncode == 3 and "does not run" in done.stderr
    done = agent.ctl("restart", "--when-idle", "--state-dir", agent.folder, check=False)
    assert done.returncode == 3 and "does not run" in done.stderr
    done = agent.ctl("restart", "--state-dir", folder / "none", check=False)
    assert done.returncode == 3 and "no agent has run" in done.stderr
