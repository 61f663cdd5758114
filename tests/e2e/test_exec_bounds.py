"""Whatever a program does, it is bounded, ended with all that it started, and told of; and another channel is answered meanwhile.

What is run here would be bounded by itself too, were the agent to fail: this machine is not ours alone.
"""

import shutil
import signal
import time

import pytest

from execs import MNT, Pair, Pings, begin, carriers, compile_c, finish, is_unknown, mark, nobody_carries, poll, rule, run, serving
from harness import MIB, memory, split_error, wait_for

pytestmark = pytest.mark.root
PIDS, LIMIT = 40, 1205
SANDBOXES = {"minimal": ["sandbox minimal"], "diag": ["sandbox diag"], "plain": ["sandbox plain", "user nobody"],
             "none": ["sandbox none", "user daemon"]}
FENCED = ("minimal", "diag")
GRACE = 5.0  # seconds that an end may take on a busy machine, beyond the time limit

# Forks as often as it can, up to 2,000 times in all, and writes how often it could.
BOMB = r'''
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void)
{
    volatile int *n = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int self = getpid();
    while (__sync_fetch_and_add(&n[0], 1) < 2000)
        if (fork() > 0) __sync_fetch_and_add(&n[1], 1);
    if (getpid() == self) { usleep(200000); printf("%d\n", n[1]); fflush(stdout); }
    for (;;) pause();
}
'''
# Takes up to 600 MiB and tells how many it has had.
HOG = r'''
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    int n = 0;
    for (char *p; n < 600 && (p = malloc(1 << 20)); n++) memset(p, 1, 1 << 20);
    printf("%d\n", n);
    return 0;
}
'''
# Leaves a process behind in a session of its own, which keeps everything open and ignores what can be ignored.
DAEMON = r'''
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
    if (fork() == 0) { setsid(); if (fork() == 0) { setsid(); for (int i = 0; i < 120; i++) sleep(1); } _exit(0); }
    if (argc > 1) for (int i = 0; i < 120; i++) sleep(1);
    puts("left");
    return 7;
}
'''
PROGRAMS = {"bomb": BOMB, "hog": HOG, "daemon": DAEMON}


def rules():
    texts = []
    for name, lines in SANDBOXES.items():
        of = [*lines, 'env "MARK"', "rest any dash-ok"]
        texts += [rule(f"{name}-sh", write_sh(name), *of, "timeout 60s", "stdin yes"),
                  rule(f"{name}-brief", write_sh(f"{name}-brief"), *of, "timeout 1s", "output 1M", "stdin yes"),
                  rule(f"{name}-bomb", program("bomb", name), *of, "timeout 2s", f"pids {PIDS}"),
                  rule(f"{name}-hog", program("hog", name), *of, "timeout 20s", "memory 64M"),
                  rule(f"{name}-daemon", program("daemon", name), *of, "timeout 1s")]
    return texts


def program(kind, name):
    return compile_c(PROGRAMS[kind], MNT / f"{kind}-{name}", "-static")


def write_sh(name):
    path = MNT / f"sh-{name}"
    shutil.copy("/bin/sh", path)
    return path


@pytest.fixture(scope="module")
def agent():
    with serving(rules) as pair:
        yield pair


@pytest.fixture
def client(agent):
    with Pings(agent.client(channel="beta")), agent.client() as connection:
        yield connection


def marked():
    word = mark()
    return word, [f"MARK={word}"]


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_fork_bomb(client, sandbox):
    word, env = marked()
    number = begin(client, MNT / f"bomb-{sandbox}", env=env)
    wait_for(lambda: len(carriers(word)) > PIDS // 4, 5, "it to have forked")
    time.sleep(0.5)
    assert len(carriers(word)) <= PIDS
    got = finish(client, number)
    assert got.signal == signal.SIGKILL and int(got.out) < PIDS
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_memory_hog(client, sandbox):
    word, env = marked()
    got = run(client, MNT / f"hog-{sandbox}", env=env, seconds=25)
    assert got.signal or int(got.out) < 64
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_output_flood(agent, client, sandbox):
    """Four at once, and each has said its last word after a second: the first mebibyte of each stream is kept."""
    word, env = marked()
    numbers = [begin(client, MNT / f"sh-{sandbox}-brief", "-c", "yes & yes >&2 & wait", env=env) for _ in range(4)]
    for number in numbers:
        got = finish(client, number)
        assert got.signal == signal.SIGKILL and got.out_truncated is got.err_truncated is True
        assert got.out == got.err == b"y\n" * (MIB // 2)
    nobody_carries(word)
    assert memory(row["pid"] for row in agent.processes("spool")) < 16 * MIB


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_program_and_daemon_that_ignore_signals(client, sandbox):
    word, env = marked()
    start = time.monotonic()
    number = begin(client, MNT / f"daemon-{sandbox}", "stay", env=env)
    wait_for(lambda: len(carriers(word)) == 2, 1, "what it leaves behind")
    assert finish(client, number).signal == signal.SIGKILL
    assert 0.9 < time.monotonic() - start < 1 + GRACE
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", FENCED)
def test_a_sandbox_ends_with_its_program(client, sandbox):
    word, env = marked()
    got = run(client, MNT / f"daemon-{sandbox}", env=env, seconds=0.9)
    assert (got.exitcode, got.out) == (7, b"left\n")
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", ["plain", "none"])
def test_daemon_that_keeps_the_pipe(client, sandbox):
    """The program's own end is told, when nobody writes any more: when all of it was ended."""
    word, env = marked()
    start = time.monotonic()
    number = begin(client, MNT / f"daemon-{sandbox}", env=env)
    wait_for(lambda: len(carriers(word)) == 1, 1, "what it leaves behind")
    assert client.call("guest-exec-status", {"pid": number}) == {"return": {"exited": False}}
    got = finish(client, number)
    assert 0.9 < time.monotonic() - start < 1 + GRACE
    assert (got.exitcode, got.out) == (7, b"left\n")
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_what_is_left_behind_ends_too(client, sandbox):
    """Nothing is held up by what let the pipe go; it ends with the time of its execution."""
    word, env = marked()
    script = "setsid sleep 100 >/dev/null 2>&1 </dev/null & echo done"
    got = run(client, MNT / f"sh-{sandbox}-brief", "-c", script, env=env, seconds=0.9)
    assert (got.exitcode, got.out) == (0, b"done\n")
    nobody_carries(word, 1 + GRACE)


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("size", [MIB, 20 * MIB])
def test_input_that_nobody_reads(client, sandbox, size):
    word, env = marked()
    start = time.monotonic()
    got = run(client, MNT / f"sh-{sandbox}-brief", "-c", "sleep 100", env=env, stdin=b"x" * size)
    assert got.signal == signal.SIGKILL and time.monotonic() - start < 2 + GRACE
    nobody_carries(word)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_stopped_program(client, sandbox):
    """SIGSTOP does not outlast the time limit."""
    word, env = marked()
    got = run(client, MNT / f"sh-{sandbox}-brief", "-c", "sleep 100 & kill -STOP $! $$", env=env)
    assert got.signal == signal.SIGKILL
    nobody_carries(word)


def test_time_limit_is_recorded(agent, client):
    number = begin(client, MNT / "sh-minimal-brief", "-c", "sleep 100")
    finish(client, number)
    rows = wait_for(lambda: [row for row in agent.audit("result") if "time" in row.get("text", "")], 5, "the record")
    assert agent.record(rows[-1]["of"])["rule"] == "minimal-brief"


def test_many_at_once(client):
    """Of every sandbox, with output, and each has its own."""
    word, env = marked()
    numbers = {}
    for n in range(60):
        sandbox = list(SANDBOXES)[n % 4]
        numbers[begin(client, MNT / f"sh-{sandbox}", "-c", f"sleep 0.{n % 3}; yes {n} | head -c {n * 1000}; exit {n}", env=env)] = n
    for number, n in numbers.items():
        got = finish(client, number, 30)
        assert got.exitcode == n and (got.out or b"") == (f"{n}\n".encode() * 1000 * n)[:n * 1000]
    nobody_carries(word)


# A client that never asks.

@pytest.fixture
def careless(folder):
    agents = []

    def start(*lines):
        agents.append(Pair(folder, *lines, rule("sh", "/bin/sh", "rest any dash-ok", 'env "MARK"', "sandbox plain", "user nobody"),
                           rule("true", "/bin/true", "sandbox plain", "user nobody")).start())
        return agents[0]
    yield start
    for agent in agents:
        agent.stop()


def test_1024_results_that_nobody_fetches(careless):
    agent = careless()
    with Pings(agent.client(channel="beta")), agent.client() as client:
        numbers = [begin(client, "/bin/true") for _ in range(1023)]
        numbers.append(begin(client, "/bin/true"))
        kind, _, code, record = client.error("guest-exec", {"path": "/bin/true"})
        assert (kind, code) == ("GenericError", LIMIT) and agent.record(record)["code"] == "BH1205"
        finish(client, numbers[500])
        numbers[500] = begin(client, "/bin/true")
        assert client.error("guest-exec", {"path": "/bin/true"})[2] == LIMIT
        assert all(finish(client, number).exitcode == 0 for number in numbers)


def test_output_that_nobody_fetches(careless):
    """A hundred times 8 MiB: what is kept of it is bounded, and what is not kept is told."""
    agent = careless()
    with Pings(agent.client(channel="beta")), agent.client() as client:
        numbers = []
        for _ in range(100):
            reply = client.call("guest-exec", {"path": "/bin/sh", "capture-output": True, "arg": ["-c", "head -c 8388608 /dev/zero"]})
            if "error" in reply:
                assert split_error(reply)[2] == LIMIT
                break
            numbers.append(reply["return"]["pid"])
        wait_for(lambda: not carriers("head -c 8388608"), 20, "them to end")
        spool = [row["pid"] for row in agent.processes("spool")]
        assert memory(spool) < 160 * MIB
        whole = 0
        for number in numbers:
            reply = poll(client, number)
            if "return" in reply:
                whole += not reply["return"].get("out-truncated", True)
        assert whole >= 4, "nothing at all was kept"
        wait_for(lambda: memory(spool) < 24 * MIB, 5, "memory to be given back")


def test_results_age(careless):
    agent = careless("set exec-idle 1s")
    word, env = marked()
    with agent.client() as client:
        ended, asked, running = begin(client, "/bin/true"), begin(client, "/bin/true"), \
            begin(client, "/bin/sh", "-c", "sleep 2; echo late", env=env)
        assert finish(client, asked).exitcode == 0
        time.sleep(1.6)
        assert is_unknown(client, "guest-exec-status", ended), "it was kept for longer than a second"
        assert finish(client, running).out == b"late\n", "what runs does not age"
    nobody_carries(word)
