"""Sandboxes in a guest with Debian's kernel: the same table as on this machine, but for what an older Landlock does not know;
and control groups, which this machine has no controllers for."""

import sys

import pytest

import execs
import image
from harness import wait_for
from inside import Inside

CONFINE = image.HERE.parent / "confine"
sys.path.insert(0, str(CONFINE))
import build
import stage
import test_escape

PROGRAMS = ("sandbox-run", "escape", "test-cgroup")
# Landlock of Linux 6.1 knows no TCP; a network with nothing in it refuses by itself.
OLDER = {"connect-tcp": {"ENETUNREACH"}}
COLUMNS = ["minimal/user", "minimal/root", "diag/user", "diag/root"]
PREPARE = """
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    for f in /root /home /tmp /run /var/lib/bulkhead /etc/bulkhead /etc/ssh /opt /var/tmp; do mkdir -p $f; echo secret >$f/secret; done
    chmod 1777 /tmp /var/tmp
    for f in /etc/bulkhead/policy /etc/ssh/ssh_host_ed25519_key /etc/shadow; do echo secret >$f; chmod 600 $f; done
    mkdir -p /opt/bulkhead-escape; cp /usr/bin/escape /opt/bulkhead-escape/; cp /usr/bin/escape /opt/bulkhead-escape/suid
    chmod 4755 /opt/bulkhead-escape/suid
"""
GROUPS = """
    cd /sys/fs/cgroup && echo "+memory +pids +cpu" >cgroup.subtree_control &&
    mkdir -p exec/worker && echo "+memory +pids +cpu" >exec/cgroup.subtree_control &&
    chown 65530 exec exec/cgroup.procs exec/worker exec/worker/cgroup.procs
"""


@pytest.fixture(scope="module")
def machine(boots):
    with boots(more=[build.BUILD / "tests/confine" / name for name in PROGRAMS]) as guest:
        guest.shell(PREPARE)
        guest.outsider = guest.shell("sleep 3600 >/dev/null 2>&1 & echo $!").strip()
        yield guest


@pytest.mark.parametrize("column", COLUMNS)
def test_escapes_end_as_the_table_says(machine, column):
    kind, uid, options = stage.COLUMNS[column]
    text = machine.shell(f"sandbox-run {kind} {uid} {' '.join(stage.OPTIONS + options)} /opt/bulkhead-escape/escape "
                         f"/opt/bulkhead-escape/suid {machine.outsider} 1 nothing 1 </dev/null", 60)
    found = dict(line.split(" ", 1) for line in text.splitlines())
    table = test_escape.read_table()[column]
    assert list(found) == list(table)
    wrong = [f"{name}: {was}, not {table[name]}" for name, was in found.items()
             if not test_escape.is_expected(was, table[name]) and was not in OLDER.get(name, ())]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def grouped(machine):
    machine.shell(GROUPS)

    def run(*words):
        return machine.shell(f"sh -c 'echo $$ >/sys/fs/cgroup/exec/worker/cgroup.procs; exec sandbox-run {' '.join(words)}' "
                             f"</dev/null 2>&1", 30, check=False)

    return run


def test_groups_of_executions(machine, grouped):
    assert "PASSED  ] 2" in machine.shell("test-cgroup 2>&1", 60)


@pytest.mark.parametrize("kind", ["minimal", "plain"])
def test_limits_hold_for_root_too(grouped, kind):
    """No rlimit counts root's processes, and none counts the memory of a tree."""
    done = grouped(kind, "0", "cgroup=yes", "pids=20", "cpu=50", "/opt/bulkhead-escape/escape", "x 1 1 x 1 many-processes")
    assert done.text.split() == ["sandbox-run:", "the", "group", "holds", "6", "many-processes", "EAGAIN"]
    done = grouped(kind, "0", "cgroup=yes", f"memory={48 << 20}", "/bin/busybox", "dd if=/dev/zero of=/dev/null bs=160M count=1")
    assert "the group holds 1" in done.text and done.status == 128 + 9


def policy(kind):
    rules = {"escape": ('program "/opt/bulkhead-escape/escape"', "pids 20"), "hog": ('program "/bin/busybox"', "memory 48M"),
             "slow": ('program "/bin/sleep"', 'argv0 "sleep"')}
    blocks = ["".join(f"    {line}\n" for line in (*lines, "rest any", "user root", f"sandbox {kind}")) for lines in rules.values()]
    return "\n".join(["policy 1", f"commands {execs.COMMANDS}", "allow @sync, @info",
                      *(f"rule {name}: allow guest-exec {{\n{block}}}" for name, block in zip(rules, blocks)), ""])


def groups_of(machine):
    return machine.shell("ls /sys/fs/cgroup/bulkhead/*-main 2>/dev/null | grep -c ^run- ; true").strip()


@pytest.mark.parametrize("kind", ["minimal", "plain", "none"])
def test_an_agents_executions_have_groups(machine, grouped, kind):
    """From start to end, whoever runs them; the agent is at the root of all groups, as where there is no systemd."""
    agent = Inside(machine, policy=policy(kind))
    try:
        agent.start()
        with machine.client(60) as client:
            client.sync()
            words = ["x", "1", "1", "x", "1", "many-processes"]
            assert execs.run(client, "/opt/bulkhead-escape/escape", *words, seconds=30).out == b"many-processes EAGAIN\n"
            assert execs.run(client, "/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=160M", "count=1", seconds=30).signal == 9
            assert groups_of(machine) == "0"
            execs.begin(client, "/bin/sleep", "600")
            assert groups_of(machine) == "1"
        machine.shell(f"kill -USR2 {agent.pid}")  # it starts itself anew, from where it is
        wait_for(lambda: agent.log().count("channel main: ") == 2, 20, "the agent to start itself anew")
        with machine.client(60) as client:
            client.sync()
            assert execs.run(client, "/opt/bulkhead-escape/escape", *words, seconds=30).out == b"many-processes EAGAIN\n"
        assert machine.shell("cat /sys/fs/cgroup/bulkhead/agent/cgroup.procs").split()[0] == str(agent.pid)
    finally:
        agent.stop()
    assert machine.shell("ls -d /sys/fs/cgroup/bulkhead/*-main 2>/dev/null; true") == ""
