"""bulkheadctl exec: streams, exit statuses, signals and terminals, against the agent; and against one that is played
(player.py) where it has to misbehave."""

import contextlib
import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import threading
import time

import pytest

from harness import BUILD, MIB, kill, wait_for
from player import BAD_PID, Player

CTL = BUILD / "bulkheadctl"
POLICY = "policy 1\nuse open\nallow @extension\n"
RULES = POLICY.replace("use open", "use standard") + """
rule say: allow guest-exec {
    program "/bin/echo"
    args "yes"
}
"""


class Served:
    """Something that listens on a socket, and bulkheadctl exec in front of it."""

    def __init__(self, socket):
        self.socket = socket

    def command(self, *words):
        return [str(CTL), "exec", "-s", str(self.socket), *map(str, words)]

    def run(self, *words, **more):
        return subprocess.run(self.command(*words), capture_output=True, timeout=120, **{"stdin": subprocess.DEVNULL, **more})

    @contextlib.contextmanager
    def started(self, *words, **more):
        """With all three streams as pipes, unless told otherwise; killed in the end, and so that no read waits for ever."""
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        process = subprocess.Popen(self.command(*words), bufsize=0, **{**pipes, **more})
        watchdog = threading.Timer(40, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            for file in (process.stdin, process.stdout, process.stderr):
                if file:
                    file.close()


@pytest.fixture(autouse=True, scope="module")
def hangups_are_heard():
    """Tests that were started with nohup ignore them, and so would what they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def served(start):
    agent = start(POLICY)
    place = Served(agent.socket)
    place.agent = agent
    return place


@pytest.fixture
def played(folder):
    """played(play, most) starts an agent that is played."""
    with contextlib.ExitStack() as stack:
        def run(play=None, most=65536):
            player = stack.enter_context(Player(folder / "played", play, most))
            place = Served(player.path)
            place.player = player
            return place

        yield run


def sh(script):
    return "--", "/bin/sh", "-c", script


def marked(process, mark=b"ready\n"):
    """Waits until the program has said that it is there."""
    got = b""
    while not got.endswith(mark):
        piece = process.stdout.read(1)
        assert piece, got
        got += piece
    return process


# --- what a program says and how it ends --------------------------------------------------------------------------

def test_streams_and_status(served):
    done = served.run(*sh("echo out; echo err >&2; exit 7"))
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


@pytest.mark.parametrize("status", [0, 1, 2, 127, 254, 255])
def test_exit_status(served, status):
    assert served.run("-n", *sh(f"exit {status}")).returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_ended_by_a_signal(served, number):
    done = served.run(*sh(f"kill -{int(number)} $$"))
    assert done.returncode == 128 + number
    assert f"/bin/sh was ended by signal {int(number)} ({signal.strsignal(number)})" in done.stderr.decode()


def test_arguments_go_as_they_are(served):
    words = ["", " ", "a b", "*", "--merge", "--", "-n", "\\", '"', "$HOME", "ä\n\t"]
    done = served.run("--", "/usr/bin/printf", r"%s\0", *words)
    assert done.stdout == b"".join(word.encode() + b"\0" for word in words)


def test_environment_is_what_was_said(served):
    done = served.run("--env", "A=1", "--env=B=x=y", "--env", "C=", "--", "/usr/bin/env")
    assert sorted(done.stdout.splitlines()) == [b"A=1", b"B=x=y", b"C="]


def test_merged_output_is_in_order(served):
    done = served.run("--merge", *sh("for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"))
    assert done.stdout == b"".join(b"o%d\ne%d\n" % (n, n) for n in range(1, 6)) and done.stderr == b""


def test_every_byte_both_ways(served):
    data = bytes(range(256)) * 40
    assert served.run("--", "/bin/cat", input=data, stdin=None).stdout == data


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536, MIB - 1, MIB + 1, 3 * MIB + 5])
def test_sizes(served, size):
    data = random.Random(size).randbytes(size)
    done = served.run("--", "/bin/cat", input=data, stdin=None)
    assert done.returncode == 0 and done.stdout == data


def test_hundred_megabytes_both_ways(served, folder):
    """By files: nothing else in the way. In pieces that have no common measure."""
    source, target, digest = folder / "source", folder / "target", hashlib.sha256()
    numbers = random.Random(1)
    with open(source, "wb") as file:
        for _ in range(100):
            piece = numbers.randbytes(MIB)
            digest.update(piece)
            file.write(piece)
    with open(source, "rb") as stdin, open(target, "wb") as stdout:
        done = subprocess.run(served.command("--", "/bin/cat"), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr
    with open(target, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()


def test_output_in_both_streams_at_once(served):
    """Neither fills up for want of the other."""
    done = served.run(*sh("head -c 20000000 /dev/zero & head -c 20000000 /dev/zero >&2; wait"))
    assert (len(done.stdout), len(done.stderr)) == (20000000, 20000000)


def test_input_that_nobody_reads(served):
    """The program ends, whatever is left."""
    done = served.run(*sh("exec 0</dev/null; echo out; exit 3"), input=bytes(3 * MIB), stdin=None)
    assert (done.returncode, done.stdout) == (3, b"out\n")


def test_input_that_is_read_late(served):
    done = served.run(*sh("sleep 1; wc -c"), input=bytes(3 * MIB), stdin=None)
    assert done.stdout.split() == [b"%d" % (3 * MIB)]


def test_end_of_input_is_passed_on(served):
    with served.started(*sh("echo ready; cat >/dev/null; echo end")) as process:
        marked(process)
        time.sleep(0.3)
        assert process.poll() is None
        process.stdin.close()
        assert process.stdout.read() == b"end\n" and process.wait(10) == 0


def test_no_input(served):
    """-n: what stands on standard input is left to others."""
    reader, writer = os.pipe()
    os.write(writer, b"mine\n")
    done = served.run("-n", "--", "/bin/cat", stdin=reader)
    assert (done.returncode, done.stdout) == (0, b"") and os.read(reader, 10) == b"mine\n"
    os.close(reader)
    os.close(writer)


def test_closed_standard_input(served):
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&-', "sh", *served.command("--", "/bin/cat")], capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"")


def test_dialogue(served):
    """Each line is answered before the next is sent, and quickly, also after a pause."""
    with served.started("--", "/bin/cat") as process:
        took = []
        for number in range(40):
            if number == 20:
                time.sleep(1.5)
            begun = time.monotonic()
            process.stdin.write(b"%d\n" % number)
            assert process.stdout.readline() == b"%d\n" % number
            took.append(time.monotonic() - begun)
        assert sorted(took)[len(took) // 2] < 0.1 and max(took) < 2
        process.stdin.close()
        assert process.wait(10) == 0


def test_output_comes_at_once(served):
    """Also of a program that says nothing for long."""
    with served.started("-n", *sh("sleep 2; date +%s.%N; sleep 1")) as process:
        said = float(process.stdout.readline())
        assert time.time() - said < 0.3


def test_idle_costs_little(served):
    with served.started(*sh("echo ready; cat")) as process:
        marked(process)
        time.sleep(2)  # it has become patient

        def used():
            fields = open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before = used()
        time.sleep(3)
        assert used() - before <= 0.06


# --- who reads the output ------------------------------------------------------------------------------------------

def test_slow_reader_holds_the_program_up(served, folder):
    """Back-pressure: what nobody reads is not produced without end."""
    with served.started("-n", *sh(f"i=0; while :; do head -c 10000 /dev/zero; i=$((i+1)); echo $i >{folder}/count; done")) as process:
        time.sleep(3)
        first = int((folder / "count").read_text())
        time.sleep(1)
        assert int((folder / "count").read_text()) == first < 100 * MIB // 10000
        assert len(process.stdout.read(MIB)) > 0 and process.poll() is None


def test_input_flows_while_nobody_reads_the_output(served, folder):
    script = f"head -c 1000000 /dev/zero & cat >/dev/null; echo all >{folder}/taken; wait"
    with served.started(*sh(script)) as process:
        process.stdin.write(bytes(3 * MIB))
        process.stdin.close()
        process.stdin = None
        wait_for(lambda: (folder / "taken").exists(), 20, "the input to be taken")
        assert len(process.stdout.read()) == 1000000 and process.wait(10) == 0


@pytest.mark.parametrize("program", ["yes", "trap '' TERM HUP PIPE; while :; do echo x 2>/dev/null; done"])
def test_reader_that_leaves(served, program):
    """As with head: the program is ended, be it as stubborn as it may."""
    with served.started("-n", *sh(f"echo $$; {program}")) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        assert process.wait(15) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""
    assert not [row for row in json.loads(served.run("--list", "--json").stdout) if not row["exited"]]


def test_full_disk(served):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(served.command("-n", "--", "/usr/bin/yes"), stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 255 and b"standard output cannot be written: No space left on device" in done.stderr


# --- signals -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_is_passed_on(served, number):
    name = number.name[3:]
    with served.started("-n", *sh(f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done")) as process:
        marked(process)
        process.send_signal(number)
        assert process.stdout.read() == f"got {name}\n".encode() and process.wait(10) == 9


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_what_does_not_mind(served, number):
    with served.started("--", "/bin/sleep", "100") as process:
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 128 + number and time.monotonic() - begun < 2
        assert process.stderr.read() == b""


def test_second_signal_kills(served):
    with served.started("-n", *sh("trap '' INT; echo ready; sleep 100 & while :; do wait; sleep 0.1; done")) as process:
        marked(process)
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 128 + signal.SIGKILL


def test_termination_kills_by_itself(served):
    with served.started("-n", *sh("trap '' TERM; echo ready; while :; do sleep 0.1; done")) as process:
        marked(process)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 128 + signal.SIGKILL and 4 < time.monotonic() - begun < 8


def test_ignored_signals_stay_ignored(served):
    """nohup, and what a shell starts in the background."""
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with served.started("-n", *sh("echo ready; sleep 1; echo end"), preexec_fn=ignore) as process:
        marked(process)
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read() == b"end\n" and process.wait(10) == 0


@contextlib.contextmanager
def terminal(command):
    """The command as a session of its own on a pseudo-terminal: (its process number, our end)."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    try:
        yield pid, master
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(master)


def shown(master, words, seconds=10):
    """What the terminal shows until `words` are there."""
    got, end = b"", time.monotonic() + seconds
    while words not in got:
        assert time.monotonic() < end, got
        with contextlib.suppress(BlockingIOError):
            got += os.read(master, 4096)
    return got


def ended(pid, seconds=10):
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        assert time.monotonic() < end
        time.sleep(0.01)


def test_control_c_at_a_terminal(served):
    script = "trap 'echo caught' INT; echo here; while :; do sleep 0.05; done"
    with terminal(served.command(*sh(script))) as (pid, master):
        shown(master, b"here")
        os.write(master, b"\x03")
        shown(master, b"caught")
        os.write(master, b"\x03")
        assert ended(pid) == 128 + signal.SIGKILL


def test_lines_and_control_d_at_a_terminal(served):
    with terminal(served.command(*sh("tr a-z A-Z; echo over"))) as (pid, master):
        os.write(master, b"hello\n\x04")
        shown(master, b"HELLO\r\nover")
        assert ended(pid) == 0


def test_terminal_that_is_closed(served):
    """Nothing goes on running for nobody."""
    with terminal(served.command(*sh("echo here; sleep 100"))) as (pid, master):
        shown(master, b"here")
        with open("/dev/null") as null:
            os.dup2(null.fileno(), master)
        assert ended(pid) == 128 + signal.SIGHUP


# --- errors ----------------------------------------------------------------------------------------------------------

def test_missing_program(served):
    done = served.run("--", "/no/such/program")
    assert done.returncode == 255 and done.stderr.startswith(b"bulkheadctl: GenericError: ") and done.stdout == b""
    assert b"No such file" in done.stderr


def test_refused_by_the_policy(start):
    place = Served(start(RULES).socket)
    assert place.run("--", "/bin/echo", "yes").stdout == b"yes\n"
    for words in (["/bin/echo", "no"], ["/bin/echo", "yes", "more"], ["/usr/bin/id"]):
        done = place.run("--", *words)
        assert done.returncode == 255 and b"denied by policy (BH1202, record " in done.stderr
        assert b"--no-input" not in done.stderr
    done = place.run("--", "/bin/echo", "yes", input=b"", stdin=None)
    assert done.returncode == 255 and b"denied by policy" in done.stderr and b"say --no-input" in done.stderr
    assert place.run("-n", "--", "/bin/echo", "yes", input=b"", stdin=None).stdout == b"yes\n"


def test_channel_without_the_extension(start):
    done = Served(start("open").socket).run("--", "/bin/true")
    assert done.returncode == 255 and b"bulkhead-exec has been disabled" in done.stderr


def test_no_agent(folder):
    done = Served(folder / "none").run("--", "/bin/true")
    assert done.returncode == 255 and b"nobody listens on" in done.stderr


@pytest.mark.parametrize("words, says", [
    ([], b"it takes a program behind --"), (["/bin/true"], b"it takes a program behind --"), (["--"], b"it takes a program"),
    (["--env", "A", "--", "/bin/true"], b"--env takes NAME=VALUE, and 'A' is none"), (["--env"], b"--env needs a value"),
    (["--list", "--", "/bin/true"], b"--list takes no program"), (["--nonsense", "--", "x"], b"there is no option --nonsense")])
def test_usage(folder, words, says):
    done = Served(folder / "none").run(*words)
    assert done.returncode == 255 and says in done.stderr


def test_channel_is_found_by_the_state_folder(served):
    """Root's own, unless told otherwise; it is found once, and held through every change of hands."""
    for words in ([], ["--channel", "main"]):
        done = subprocess.run([CTL, "exec", "--state-dir", served.agent.folder, *words, "-n", "--", "/bin/sh", "-c", "sleep 1.2; echo x"],
                              capture_output=True, timeout=20)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")
    assert {row["src"].split("/")[0] for row in served.agent.audit("act")} == {"main", "local"}


# --- several at once -------------------------------------------------------------------------------------------------

def test_list(served):
    with served.started("-n", *sh("echo ready; echo more >&2; sleep 100")) as process:
        marked(process)
        rows = json.loads(served.run("--list", "--json").stdout)
        assert [(row["program"].split("/")[-1], row["exited"], row["out-bytes"], row["err-bytes"], row["user"]) for row in rows] == \
            [(os.path.realpath("/bin/sh").split("/")[-1], False, 6, 5, "root")]
        shown = served.run("--list").stdout.decode().splitlines()
        assert shown[0].split()[0] == "EXECUTION" and str(rows[0]["pid"]) in shown[1] and " running " in shown[1]
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert json.loads(served.run("--list", "--json").stdout) == []
    assert len(served.run("--list").stdout.splitlines()) == 1


def test_channel_is_shared(served):
    """One that runs for long does not keep the channel from others, nor they from it."""
    with served.started("--", "/bin/cat") as first, served.started("--", "/bin/cat") as second:
        for number in range(3):
            for process in (first, second):
                process.stdin.write(b"%d\n" % number)
                assert process.stdout.readline() == b"%d\n" % number
        assert served.run("-n", "--", "/bin/echo", "third").stdout == b"third\n"
        for process in (first, second):
            process.stdin.close()
            assert process.wait(10) == 0


def test_status_counts_it(served):
    with served.started("-n", *sh("echo ready; sleep 100")) as process:
        marked(process)
        row = served.agent.status()["channels"][0]
        assert (row["executions"], row["results"]) == (1, 0)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    wait_for(lambda: served.agent.status()["channels"][0]["executions"] == 0, 5, "the keeper to end")


def test_agent_that_restarts(served):
    with served.started("-n", *sh("echo ready; sleep 100")) as process:
        marked(process)
        served.agent.process.send_signal(signal.SIGUSR2)
        assert process.wait(30) == 255
        assert b"is out of sight, and may still run" in process.stderr.read()


@pytest.mark.parametrize("role, says, status", [
    ("front", b"the front ended while it served this request", 255), ("spool", b"the spool worker ended", 255),
    ("spawn", b"was ended by signal 9 (Killed)", 128 + signal.SIGKILL), ("audit", b"", 3)])
def test_process_of_the_agent_that_dies(served, role, says, status):
    with served.started("-n", *sh("echo ready; sleep 2; exit 3")) as process:
        marked(process)
        kill(served.agent.pid(role))
        assert process.wait(10) == status
        said = process.stderr.read()
        assert says in said and (b"may still run" in said) == (status == 255)


def test_restart_waits_for_it(served):
    with served.started("-n", *sh("echo ready; sleep 2; echo end")) as process:
        marked(process)
        done = served.agent.ctl("restart", "--when-idle", "--state-dir", served.agent.folder)
        assert "Waiting for: 1 running" in done.stderr and "was restarted" in done.stdout
        assert process.wait(10) == 0 and process.stdout.read() == b"end\n"


# --- an agent that misbehaves ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["bulkhead-exec", "bulkhead-exec-read", "bulkhead-exec-write"])
def test_connection_that_ends(played, command):
    place = played(lambda request: Player.HANG_UP if request["execute"] == command else None)
    done = place.run("--", "/bin/cat", input=b"x", stdin=None)
    assert done.returncode == 255 and b"the agent closed the connection before it answered" in done.stderr
    assert (b"may still run: bulkheadctl exec --list" in done.stderr) == (command != "bulkhead-exec")


def test_execution_that_is_not_known_any_more(played):
    place = played(lambda request: BAD_PID if request["execute"] == "bulkhead-exec-read" else None)
    done = place.run("-n", "--", "/bin/true")
    assert done.returncode == 255 and b"BH1109" in done.stderr and b"may still run" in done.stderr


@pytest.mark.parametrize("value", [{"exited": False, "out-data": "!!"}, {"exited": False, "err-data": "AAA"}])
def test_output_that_is_no_base64(played, value):
    place = played(lambda request: {"return": value} if request["execute"] == "bulkhead-exec-read" else None)
    done = place.run("-n", "--", "/bin/true")
    assert done.returncode == 255 and b"the bytes in the agent's answer are not base64" in done.stderr


@pytest.mark.parametrize("most", [1, 3, 4097])
def test_input_that_is_taken_in_crumbs(played, most):
    data = random.Random(2).randbytes(200 * most)
    place = played(most=most)
    assert place.run("--", "/bin/cat", input=data, stdin=None).stdout == data


def test_more_taken_than_was_offered(played):
    """It is no reason to read beyond the own memory."""
    place = played(lambda request: {"return": {"count": 1 << 40}} if request["execute"] == "bulkhead-exec-write" else None)
    done = place.run("--", "/bin/sleep", "0.5", input=bytes(3 * MIB), stdin=None)
    assert done.returncode == 0


def test_requests_become_rare(played):
    place = played()
    place.run("-n", "--", "/bin/sleep", "3")
    waits = [given.get("wait", 0) for given in place.player.named("bulkhead-exec-read")]
    assert len(waits) < 40 and waits[0] <= 5 and max(waits) > 400 and waits == sorted(waits)


def test_connection_is_given_up_for_others(played):
    place = played()
    place.run("-n", "--", "/bin/sleep", "3.2")
    assert place.player.connections in (5, 6, 7)


def test_third_signal_leaves_at_once(played):
    place = played(lambda request: time.sleep(3) if request["execute"] == "bulkhead-exec-read" else None)
    with place.started("-n", "--", "/bin/sleep", "100") as process:
        wait_for(lambda: place.player.named("bulkhead-exec-read"), 5, "the first read")
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert process.wait(1) == 255 and b"may still run" in process.stderr.read()
