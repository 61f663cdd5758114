"""Started by an ordinary user: what needs no privilege is served, and what is missing is said."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from harness import BUILD, Agent, Gone, proc_status, wait_for

pytestmark = pytest.mark.root
NOBODY = 65534
AS_USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all",
           "--inh-caps=-all"]


@pytest.fixture
def own(folder):
    """Makes an agent of the user. The build folder may not be readable by others, so the programs are copied."""
    (folder / "bin").mkdir()
    for path in BUILD.glob("bulkhead*"):
        if path.is_file():
            shutil.copy(path, folder / "bin")

    def make(policy, *options):
        agent = Agent(folder / "run", policy, *options, build=folder / "bin", prefix=AS_USER)
        for path in (folder / "run", *(folder / "run").iterdir()):
            os.chown(path, NOBODY, NOBODY)
        return agent
    return make


def confined(agent):
    """The status once every process that runs has said which fences it has: the last may just have been started."""
    return wait_for(lambda: (status := agent.status()) and
                    all(row["fences"] for row in status["processes"] if row["pid"] > 0) and status, 10, "fences of all")


@pytest.fixture
def agent(own):
    with own("open") as agent:
        yield agent


def test_a_required_fence_that_is_missing_keeps_every_process_from_starting(own):
    agent = own("policy 1\ncommands 49\nuse standard\nset fence-view required\n")
    status = agent.folder / "bulkhead" / "status.json"
    agent.answers = lambda: status.exists() and "fence view is required by the policy" in agent.log_text()
    with agent:
        assert agent.status()["policy"]["state"] == "loaded"
        with agent.client(timeout=0.5) as client, pytest.raises((OSError, Gone)):
            client.call("guest-ping")


def test_what_children_say_has_the_time_in_a_log_file(own, folder):
    log = folder / "run" / "log-file"
    agent = own("policy 1\ncommands 49\nuse standard\nset fence-view required\n", "-l", log)
    agent.answers = lambda: log.exists() and "fence view is required by the policy" in log.read_text()
    with agent:
        assert not [line for line in log.read_text().splitlines() if not re.match(r"\d{4}-\d\d-\d\dT[\d:.]{15}Z bulkhead", line)]


def test_a_fence_that_is_off_is_not_missing(own):
    with own("policy 1\ncommands 49\nuse standard\nset fence-view off\nset fence-landlock off\n") as agent:
        for row in confined(agent)["processes"]:
            assert "landlock" not in row["fences"] + row["missing"] and "view" not in row["missing"]
            assert "seccomp" in row["fences"]


def test_serves_and_says_what_is_missing(agent):
    with agent.client() as client:
        client.ok("guest-ping")
        client.ok("guest-get-osinfo")
        client.ok("guest-info")
        assert "lo" in [row["name"] for row in client.ok("guest-network-get-interfaces")]
        assert client.ok("guest-network-get-route")
        client.ok("guest-get-users")
    status = confined(agent)
    assert status["missing"] and "ordinary user" in status["missing"][0]
    assert all("view" in row["missing"] and "seccomp" not in row["missing"] for row in status["processes"])


def test_fences_that_need_no_privilege_are_on(agent):
    with agent.client() as client:
        client.ok("guest-get-osinfo")
        for row in agent.processes():
            status = proc_status(row["pid"])
            assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
            assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0


def test_files_of_the_user(agent, folder):
    (folder / "readable").write_bytes(b"abc")
    (folder / "private").write_bytes(b"abc")
    (folder / "private").chmod(0o600)
    with agent.client() as client:
        assert client.read(client.open(folder / "readable"))[0] == b"abc"
        assert "error" in client.call("guest-file-open", {"path": str(folder / "private")})
        assert "error" in client.call("guest-file-open", {"path": "/etc/shadow"})


def test_other_users_may_not_connect(agent):
    agent.socket.chmod(0o777)
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(agent.socket)!r}); " \
           "s.sendall(b'{\"execute\":\"guest-ping\"}'); print(s.recv(100))"
    done = subprocess.run(["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", sys.executable, "-c", code],
                          capture_output=True, text=True, timeout=20)
    assert "return" not in done.stdout
    with agent.client() as client:
        client.ok("guest-ping")


def test_root_is_not_needed_to_look(agent):
    done = subprocess.run([*AS_USER, agent.build / "bulkheadctl", "status", "--state-dir", agent.folder],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "main/front" in done.stdout, done.stderr


def test_file_systems_and_disks_are_told_to_a_user_too(agent):
    with agent.client() as client:
        disks, rows = client.ok("guest-get-disks"), client.ok("guest-get-fsinfo")
    assert all({"name", "partition"} <= set(row) for row in disks)
    assert all({"name", "mountpoint", "type", "disk"} <= set(row) for row in rows)
