"""What an execution is from inside: as whom, with which capabilities, filter, namespaces and view it runs in each sandbox, and
that what its rule says of it is so. Real programs look.
"""

import os
import pathlib
import pwd
import re
import shutil

import pytest

from execs import MNT, copy, rule, run, serving, text, write
from harness import stat_of, wait_for

pytestmark = pytest.mark.root
SANDBOXES = {"minimal": [], "diag": ["sandbox diag"], "plain": ["sandbox plain", "user www-data"], "none": ["sandbox none", "user root"]}
FENCED, SPACES = ("minimal", "diag"), ("mnt", "pid", "ipc", "uts", "net", "user", "cgroup")
SECRET = MNT / "secret"


def rules():
    write(SECRET, "for root only\n", mode=0o600)
    write(MNT / "data" / "file", "data\n", mode=0o644)
    texts = []
    for name, lines in SANDBOXES.items():
        texts += [rule(name, copy("/bin/sh", MNT / name / "sh"), "rest any dash-ok", *lines),
                  rule(f"{name}-id", copy("/usr/bin/id", MNT / name / "id", mode=0o4755), "rest any dash-ok", *lines)]
    more = {"groups": ["sandbox plain", "user www-data", 'groups daemon 12'], "no-groups": ["sandbox minimal", "user www-data"],
            "cwd": ["sandbox plain", "user nobody", f'cwd "{MNT}/data"'], "argv0": ["sandbox minimal", 'argv0 "another"'],
            "net": ["sandbox minimal", "net host"], "netless": ["sandbox plain", "user nobody", "net none"],
            "as-root": ["sandbox diag", "user root"], "minimal-root": ["sandbox minimal", "user root"],
            "cpu": ["sandbox minimal", "cpu 50%"], "cwd-minimal": [f'cwd "{MNT}/data"']}
    return texts + [rule(name, copy("/bin/sh", MNT / name / "sh"), "rest any dash-ok", *lines) for name, lines in more.items()]


@pytest.fixture(scope="module")
def agent():
    with serving(rules) as pair:
        yield pair


@pytest.fixture
def client(agent):
    with agent.client() as connection:
        yield connection


def sh(client, name, script):
    got = run(client, MNT / name / "sh", "-c", script)
    assert got.exitcode == 0, got
    return (got.out or b"").decode()


def status(client, name):
    return dict(re.findall(r"^(\w+):\t(.*?)\s*$", sh(client, name, "cat /proc/self/status"), re.M))


ACCOUNTS = {"plain": "www-data", "none": "root"}


@pytest.mark.parametrize("name", SANDBOXES)
def test_who(client, name):
    got = status(client, name)
    uids, gids = set(got["Uid"].split()), set(got["Gid"].split())
    assert len(uids) == len(gids) == 1
    if name in FENCED:
        assert int(uids.pop()) not in (0, os.getuid()) and gids != {"0"} and not got["Groups"]
    else:
        account = pwd.getpwnam(ACCOUNTS[name])
        assert (uids, gids) == ({str(account.pw_uid)}, {str(account.pw_gid)})
        assert set(map(int, got["Groups"].split())) <= set(os.getgrouplist(account.pw_name, account.pw_gid))


@pytest.mark.parametrize("name", SANDBOXES)
def test_fences(client, name):
    got, own = status(client, name), pathlib.Path("/proc/self/status").read_text()
    assert got["NoNewPrivs"] == ("1" if name in FENCED else "0")
    assert got["Seccomp"] == ("0" if name == "none" else "2")
    assert got["SigBlk"] == got["SigIgn"] == "0" * 16
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        wanted = re.search(rf"^{field}:\t(\w+)", own, re.M)[1]
        if name in FENCED or name == "plain" and field != "CapBnd":
            assert int(got[field], 16) == 0, field
        elif name == "none":
            assert got[field] == wanted, field


@pytest.mark.parametrize("name", SANDBOXES)
def test_namespaces(client, name):
    seen = sh(client, name, "for n in " + " ".join(SPACES) + "; do readlink /proc/self/ns/$n; done").split()
    own = {space: os.readlink(f"/proc/self/ns/{space}") for space in SPACES}
    apart = {space for space, word in zip(SPACES, seen) if word != own[space]}
    wanted = {"mnt", "pid", "ipc", "uts", "net"} if name in FENCED else set()
    assert apart - {"cgroup", "user"} == wanted


@pytest.mark.parametrize("name", SANDBOXES)
def test_descriptors_and_terminal(client, name):
    assert sh(client, name, "ls /proc/$$/fd").split() == ["0", "1", "2"]
    assert sh(client, name, "(: </dev/tty) 2>/dev/null || echo none") == "none\n"


@pytest.mark.parametrize("name", FENCED)
def test_only_own_processes(client, name):
    pids = sh(client, name, "ls /proc | grep -c '^[0-9]'")
    assert int(pids) <= 5


def test_view_of_minimal(client):
    """Its folder and the system's programs; none of the accounts' files, of others' or of this place."""
    assert sh(client, "minimal", f"ls {MNT}") in ("minimal\n", "")
    for path in ("/root", "/home", "/var/lib", str(SECRET), "/run", "/boot", "/work"):
        assert sh(client, "minimal", f"ls -A {path} 2>/dev/null | head -1; :") == "", path
    assert sh(client, "minimal", "cat /etc/shadow /etc/gshadow 2>/dev/null; :") == ""
    assert sh(client, "minimal", "ls /usr/bin/env /bin/sh && cat /etc/passwd >/dev/null; echo $?").endswith("0\n")


def test_view_of_diag(client):
    """Everything but secrets, whoever it is; what else is root's alone is root's."""
    there = set(sh(client, "diag", "ls /").split())
    assert {"bin", "etc", "usr", "var", "proc", "tmp"} <= there
    for name in ("diag", "as-root"):
        assert "data" in sh(client, name, f"cat {MNT}/data/file")
        for path in ("/etc/shadow", "/root/.bashrc", *([SECRET] if name == "diag" else [])):
            assert sh(client, name, f"cat {path} 2>/dev/null; :") == "", path


@pytest.mark.parametrize("name", [*FENCED, "as-root", "minimal-root"])
def test_nothing_is_written(client, name):
    """Nor in a shared /tmp: what it writes there goes with it."""
    for folder in (MNT / "data", "/etc", "/dev", "/proc/sys/kernel", "/usr/local", "/"):
        assert sh(client, name, f"(: >{folder}/bh-new) 2>/dev/null && echo written; :") == "", folder
    for folder in ("/tmp", "/var/tmp"):
        assert sh(client, name, f"echo x >{folder}/bh-private && cat {folder}/bh-private; ls -A {folder}") == "x\nbh-private\n"
        assert not os.path.exists(f"{folder}/bh-private")
        assert sh(client, name, f"ls -A {folder}") == ""


@pytest.mark.parametrize("name, loopback_only", [("minimal", True), ("diag", True), ("plain", False), ("none", False), ("net", False),
                                                 ("netless", True)])
def test_network(client, name, loopback_only):
    seen = os.readlink("/proc/self/ns/net") == sh(client, name, "readlink /proc/self/ns/net").strip()
    assert seen is not loopback_only
    interfaces = set(re.findall(r"^\s*(\w+):", sh(client, name, "cat /proc/self/net/dev"), re.M))
    own = set(re.findall(r"^\s*(\w+):", pathlib.Path("/proc/self/net/dev").read_text(), re.M))
    assert interfaces == ({"lo"} if loopback_only else own)


@pytest.mark.parametrize("name", SANDBOXES)
def test_set_uid(client, name):
    """What sudo needs works where the policy says `plain`, and gives nothing in a sandbox."""
    got = text(client, MNT / name / "id", "-u")
    assert (got == "0\n") == (name in ("plain", "none"))
    if name == "plain":
        assert text(client, MNT / name / "id", "-ru") == f"{pwd.getpwnam('www-data').pw_uid}\n"


def test_groups(client):
    assert status(client, "groups")["Groups"].split() == ["1", "12"]
    assert status(client, "no-groups")["Uid"].split()[0] == str(pwd.getpwnam("www-data").pw_uid)


def test_folder_and_name(client):
    assert sh(client, "cwd", "pwd; cat file") == f"{MNT}/data\ndata\n"
    assert sh(client, "cwd-minimal", "pwd; cat file") == f"{MNT}/data\ndata\n"
    for name in SANDBOXES:
        assert sh(client, name, "pwd") == "/\n"
    assert sh(client, "argv0", "echo $0") == "another\n"
    assert sh(client, "minimal", "echo $0") == f"{MNT}/minimal/sh\n"


@pytest.mark.parametrize("name", SANDBOXES)
def test_environment(client, name):
    """What a program may count on, and nothing of the agent's."""
    rows = dict(line.split("=", 1) for line in sh(client, name, "cat /proc/self/environ | tr '\\0' '\\n'").splitlines())
    assert "/usr/bin" in rows["PATH"].split(":") and set(rows) <= {"PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR"}
    assert all(word.startswith("/") for word in rows["PATH"].split(":"))


@pytest.mark.parametrize("name", SANDBOXES)
def test_limits(client, name):
    """No core files; as many descriptors as the system gives; its own session."""
    assert sh(client, name, "ulimit -c") == "0\n"
    assert int(sh(client, name, "ulimit -n")) >= 1024
    assert sh(client, name, "read -r pid n s parent group session rest </proc/$$/stat; test $pid = $session && echo own") == "own\n"
    assert sh(client, name, "umask") == "0022\n"


@pytest.mark.parametrize("name", FENCED)
@pytest.mark.parametrize("attempt", ["mount -t tmpfs none /tmp", "unshare -U true", "unshare -m true", "chroot / true", "hostname x",
                                     "nsenter -t 1 -m true", "dmesg", "mknod /tmp/x b 8 0", "su -c id", "chown 1 /tmp",
                                     "setpriv --reuid 0 true", "renice -5 $$", "chrt -f 1 true",
                                     "python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).connect((\"192.0.2.1\", 9))'"])
def test_attempts_fail(client, name, attempt):
    """The simplest ways out; tests/confine has the others."""
    got = run(client, MNT / name / "sh", "-c", f"{attempt} >/dev/null 2>&1; exit $?")
    assert got.signal or got.exitcode not in (0, 127), "127: there is no such program, and nothing was tried"


@pytest.mark.parametrize("name", ["python3", "perl"])
def test_interpreters_work(client, name):
    """A sandbox that ordinary programs do not start in would not be used."""
    for sandbox in FENCED:
        path = shutil.which(name, path="/usr/bin")
        assert path and sh(client, sandbox, f"{path} -{'c' if name == 'python3' else 'e'} 'print(6*7)'").strip() == "42"


def test_pipelines_work(client):
    for sandbox in SANDBOXES:
        assert sh(client, sandbox, "seq 1000 | sort -rn | head -3 | tr '\\n' ' '") == "1000 999 998 "


def descriptors(agent):
    rows = [row for row in agent.processes() if row["role"] in ("exec", "spawn", "spool")]
    return {row["name"]: len(os.listdir(f"/proc/{row['pid']}/fd")) for row in rows}


def test_nothing_piles_up(agent, client):
    """Hundreds of executions in a row leave no process, zombies included, and no descriptor."""
    def children():
        return {name for name in os.listdir("/proc") if name.isdigit() and (stat := stat_of(name)) and stat[0] in family}
    assert run(client, MNT / "none" / "sh", "-c", ":").exitcode == 0
    family = set(agent.pids())
    before, known = descriptors(agent), children()
    for number in range(200):
        assert run(client, MNT / list(SANDBOXES)[number % 4] / "sh", "-c", ":").exitcode == 0
    wait_for(lambda: children() <= known, 5, "them to be reaped")
    after = descriptors(agent)
    assert all(after[name] <= before[name] + 2 for name in after), (before, after)
