"""Ruling 10: which policy governs when the file is good, bad or gone; and what the client hears."""

import os
import subprocess

import pytest

from harness import BUILD


GOOD = "policy 1\nuse inventory\n"
BAD = "policy 1\nallow guest-frobnicate\n"


def enabled(agent, command):
    with agent.client() as client:
        rows = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
    return rows[command]


def test_bad_file_and_no_last_good(start):
    """sync, ping and info answer; the rest is refused with a code of its own."""
    agent = start(BAD)
    assert agent.status()["policy"]["state"] == "none"
    assert "guest-frobnicate" in agent.log_text()
    with agent.client() as client:
        assert client.ok("guest-ping") == {} and client.ok("guest-sync", {"id": 3}) == 3
        client.ok("guest-info")
        kind, text, code, _ = client.error("guest-get-host-name")
        assert kind == "CommandNotFound" and code in (1201, 1207), text


def test_bad_file_after_a_good_one(start):
    agent = start(GOOD)
    assert agent.status()["policy"]["state"] == "loaded"
    agent.stop()
    agent.write_policy(BAD)
    agent.start()
    assert agent.status()["policy"]["state"] == "last-good"
    assert "policy" in agent.log_text()
    with agent.client() as client:
        client.ok("guest-get-host-name")


def test_missing_file(start, folder):
    agent = start(str(folder / "none" / "policy"))
    assert agent.status()["policy"]["state"] == "none"


@pytest.mark.parametrize("mode", [0o666, 0o622])
def test_file_that_others_may_write_is_bad(start, mode):
    agent = start(GOOD)
    agent.stop()
    os.unlink(agent.folder / "bulkhead" / "policy.last")
    os.chmod(agent.policy, mode)
    agent.start()
    assert agent.status()["policy"]["state"] == "none"


@pytest.mark.root
def test_file_of_another_user_is_bad(start):
    agent = start(GOOD)
    agent.stop()
    os.unlink(agent.folder / "bulkhead" / "policy.last")
    os.chown(agent.policy, 4321, 4321)
    agent.start()
    assert agent.status()["policy"]["state"] == "none"


@pytest.mark.parametrize("profile,files", [("standard", False), ("inventory", False), ("open", True)])
def test_shipped_profiles(start, profile, files):
    agent = start(profile)
    assert agent.status()["policy"]["state"] == "built-in"
    assert enabled(agent, "guest-get-osinfo")
    assert enabled(agent, "guest-file-open") == files


def test_deny_of_a_command(start):
    agent = start("policy 1\nuse standard\nrule shy: deny guest-get-host-name\n")
    with agent.client() as client:
        kind, text, code, record = client.error("guest-get-host-name")
        assert code == 1203 or kind == "CommandNotFound", text
        assert agent.record(record)["rule"] == "shy"
        client.ok("guest-get-osinfo")


@pytest.mark.root
def test_explain_record(start, folder):
    (folder / "secret").write_bytes(b"x")
    agent = start('policy 1\nuse standard\nrule logs: allow @file-read {\n    path beneath "/var/log"\n}\n')
    with agent.client() as client:
        number = client.error("guest-file-open", {"path": str(folder / "secret")})[3]
    agent.record(number)
    done = agent.ctl("policy", "explain", "--record", number, "--state-dir", agent.folder, check=False)
    assert "BH1202" in done.stdout and "logs" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("arguments,words", [
    (["-m", "pigeon", "-p", "/x"], "unix-listen"), (["-m", "unix-listen"], "-p"), (["-m", "vsock-listen"], "-p"),
    (["-m", "unix-listen", "-p", "/" + "x" * 107], "107"), (["--frobnicate"], "--help")])
def test_command_line_mistakes(arguments, words):
    done = subprocess.run([BUILD / "bulkhead", *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode != 0 and words in done.stderr


@pytest.mark.parametrize("option,words", [("--help", "Usage"), ("-h", "Usage"), ("--version", "Bulkhead"), ("-V", "10.2.0")])
def test_help_and_version(option, words):
    done = subprocess.run([BUILD / "bulkhead", option], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and words in done.stdout and done.stderr == ""


def test_sigterm_ends_with_status_0_with_a_client_attached(start):
    agent = start("standard")
    with agent.client() as client:
        client.ok("guest-ping")
        assert agent.stop() == 0


@pytest.mark.root
def test_socket_is_for_root_only(start):
    agent = start("standard")
    assert os.stat(agent.socket).st_mode & 0o777 == 0o600
