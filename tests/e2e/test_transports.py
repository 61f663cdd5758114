"""Every way to a host: a serial line (a pty), inherited sockets, virtio sockets, unix sockets, root's own channel."""

import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

import pytest

from harness import BUILD, Agent, Client, Gone, kill, proc_status, wait_for

PING = b'{"execute":"guest-ping"}\n'


# --- a host at the other end of a serial line -----------------------------------------


class End:
    """The host's end of a pty, with the few methods of a socket that Client needs."""

    def __init__(self, master):
        self.master, self.timeout = master, 10.0

    def settimeout(self, seconds):
        self.timeout = seconds

    def wait(self, events, end):
        poller = select.poll()
        poller.register(self.master, events)
        left = end - time.monotonic()
        if left <= 0 or not any(ready & events for _, ready in poller.poll(left * 1000)):
            raise socket.timeout()

    def recv(self, size):
        self.wait(select.POLLIN, time.monotonic() + self.timeout)
        return os.read(self.master, size)

    def sendall(self, data):
        end = time.monotonic() + self.timeout
        while data:
            self.wait(select.POLLOUT, end)
            data = data[os.write(self.master, data):]

    def close(self):
        os.close(self.master)


class Host(Client):
    def __init__(self, end, timeout=10.0):
        self.socket, self.buffer = end, bytearray()
        end.settimeout(timeout)

    def is_heard(self):
        """The other end is open."""
        poller = select.poll()
        poller.register(self.socket.master, 0)
        return not poller.poll(0)

    def resync(self, number, seconds):
        """As hosts do who do not know what went before: 0xFF and a sync, again until it is answered."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.send(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":%d}}' % number)
                while not (line := self.line(timeout=0.3)).startswith(b"\xff"):
                    pass
                assert json.loads(line[1:]) == {"return": number}
                return
            except socket.timeout:
                time.sleep(0.01)
        pytest.fail("no answer")


class SerialAgent(Agent):
    """An agent on a serial line: `line` is a link to the pty that is plugged in."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.line = self.folder / "line"
        self.way = ["-m", "isa-serial", "-p", str(self.line)]

    def plug(self):
        """A new pty behind the link; the agent finds it by itself."""
        master, slave = os.openpty()
        tty.setraw(slave)
        name = os.ttyname(slave)
        os.close(slave)
        fcntl.fcntl(master, fcntl.F_SETFL, os.O_NONBLOCK)
        new = self.line.with_suffix(".new")
        new.symlink_to(name)
        new.rename(self.line)
        return Host(End(master))

    def answers(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log_text()[-2000:]}"
        return (self.folder / "bulkhead" / "status.json").exists()

    def host(self):
        return self.status()["channels"][0]["host"]

    def attach(self):
        """Plugs in and waits until the agent has opened the line: what was sent before that is not for it."""
        host = self.plug()
        self.await_open(host)
        return host

    def await_open(self, host):
        wait_for(lambda: host.is_heard() and self.host() == "present", 5, "the agent to open the line")


@pytest.fixture
def serial(folder):
    agents = []

    def run(policy="open", *options, plugged=True, start=True, **more):
        agent = SerialAgent(folder / f"serial{len(agents)}", policy, *options, **more)
        agents.append(agent)
        host = agent.plug() if plugged else None
        if start:
            agent.start()
        if plugged:
            agent.await_open(host)
        return agent, host

    yield run
    for agent in agents:
        agent.stop()


def cpu_ns(pids):
    """Nanoseconds on a CPU."""
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def switches(pids):
    """How often each process has slept or was interrupted: one that sleeps on adds nothing."""
    return {pid: sum(int(value) for name, value in proc_status(pid).items() if name.endswith("_ctxt_switches"))
            for pid in pids}


def woken(pids, seconds, fits):
    """What switches() of each process grew by over that time. What went before may still be at work on a busy machine,
    so it is measured again, a few times at most, until it fits: what wakes up by itself never does."""
    for _ in range(4):
        before = switches(pids)
        time.sleep(seconds)
        after = switches(pids)
        grown = {pid: after[pid] - before[pid] for pid in pids if after[pid] != before[pid]}
        if fits(grown):
            break
    return grown


def big_read(host, folder):
    """A request whose reply is far larger than what a line holds."""
    handle = host.open("/dev/zero")
    return b'{"execute":"guest-file-read","arguments":{"handle":%d,"count":4000000}}\n' % handle


# --- isa-serial --------------------------------------------------------------------------


def test_serial_line(serial, folder):
    agent, host = serial()
    assert host.sync() == []
    host.send(b'\xff{"execute":"guest-sync-delimited",\r\t"arguments":{"id":7}}')
    assert host.line() == b'\xff{"return": 7}'
    data = bytes(range(256)) * 4096
    (folder / "data").write_bytes(data)
    handle, got, eof = host.open(folder / "data"), b"", False
    while not eof:
        piece, eof = host.read(handle, 300000)
        got += piece
    assert got == data
    row = agent.status()["channels"][0]
    assert (row["name"], row["method"], row["path"], row["host"]) == ("main", "isa-serial", str(agent.line), "present")


def test_serial_line_is_raw(serial):
    """Of the settings only those that would change bytes; speed and character size stay."""
    _, host = serial()
    iflag, oflag, cflag, lflag, _, _, special = termios.tcgetattr(host.socket.master)
    cleared = (termios.IGNBRK | termios.BRKINT | termios.IGNPAR | termios.PARMRK | termios.INPCK | termios.ISTRIP
               | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON | termios.IXOFF | termios.IXANY
               | termios.IMAXBEL)
    assert (iflag & cleared, oflag, lflag) == (0, 0, 0)
    assert cflag & termios.B38400 == termios.B38400 and cflag & termios.CSIZE == termios.CS8
    assert special[termios.VMIN] in (1, b"\x01") and special[termios.VTIME] in (0, b"\x00")


def test_leaving_within_a_request(serial):
    agent, host = serial()
    for half in (b'{"execute":"gue', b"[[[[", b"'text", b"\xc3", b'{"execute":"guest-file-write","arguments":{"buf-b64":"QUJD'):
        host.send(half)
        host.close()
        host = agent.attach()
        host.send(PING)
        assert host.line() == b'{"return": {}}'
        assert host.sync() == []


def test_leaving_within_a_reply(serial, folder):
    """The next host's first line is not the rest of that reply: a line feed ends it."""
    agent, host = serial()
    host.send(big_read(host, folder))
    assert host.socket.recv(1000).startswith(b'{"return": {"buf-b64": "AAAA')
    host.close()
    host = agent.attach()
    host.send(PING)
    assert host.line() == b""
    assert host.line() == b'{"return": {}}'
    assert host.sync() == []
    host.close()
    host = agent.attach()
    host.send(PING)
    assert host.line() == b'{"return": {}}'


def test_handles_outlive_the_host(serial, folder):
    agent, host = serial()
    (folder / "data").write_bytes(b"0123456789")
    handle = host.open(folder / "data")
    host.close()
    host = agent.attach()
    assert host.read(handle, 4) == (b"0123", False)


def test_thirty_quick_reconnects(serial):
    agent, host = serial()
    start = time.monotonic()
    for number in range(30):
        new = agent.plug()
        host.close()
        host = new
        host.resync(number, 5)
    assert time.monotonic() - start < 40


def test_an_attached_host_costs_no_wake_up(serial):
    agent, host = serial()
    host.ok("guest-get-host-name")
    time.sleep(0.5)
    assert woken(agent.pids(), 4, lambda grown: not grown) == {}


def test_a_host_that_is_away_costs_one_look_a_second(serial):
    agent, host = serial()
    host.ok("guest-get-host-name")
    host.close()
    wait_for(lambda: agent.host() == "away", 5, "the agent to see the hang-up")
    time.sleep(0.5)
    grown = woken(agent.pids(), 3, lambda grown: set(grown) == {agent.process.pid})
    assert set(grown) == {agent.process.pid}
    assert 2 <= grown[agent.process.pid] <= 8


def test_a_host_that_never_reads(serial, folder):
    """Under half a percent of a CPU, be it a flood of requests or one large reply."""
    agent, host = serial()
    for request in (PING * 20000, big_read(host, folder)):
        try:
            host.socket.settimeout(0.5)
            host.socket.sendall(request)
        except socket.timeout:
            pass
        time.sleep(0.5)
        pids = agent.pids()
        before = cpu_ns(pids)
        time.sleep(2)
        assert cpu_ns(pids) - before < 0.005 * 2e9
        host.close()
        host = agent.attach()
        host.resync(1, 5)


def test_leaving_while_a_worker_is_busy(serial):
    """Nothing spins, and the next host is served."""
    agent, host = serial()
    host.ok("guest-get-host-name")
    worker = agent.pid("info")
    os.kill(worker, signal.SIGSTOP)
    try:
        host.send(b'{"execute":"guest-get-osinfo"}')
        time.sleep(0.2)
        host.close()
        wait_for(lambda: agent.host() == "away", 5, "the front to end")
        pids = agent.pids()
        before = cpu_ns(pids)
        time.sleep(1)
        assert cpu_ns(pids) - before < 0.02 * 1e9
        host = agent.attach()
        assert host.ok("guest-ping") == {}
    finally:
        os.kill(worker, signal.SIGCONT)
    assert host.sync() == []
    assert host.ok("guest-get-osinfo")


def test_front_killed_within_a_reply_on_a_line(serial, folder):
    """A line cannot be closed: it goes on with a line feed and an error."""
    agent, host = serial()
    host.send(big_read(host, folder))
    assert host.socket.recv(1000)
    kill(agent.pid("front"))
    broken = host.line()
    with pytest.raises(ValueError):
        json.loads(broken)
    assert "error" in host.reply()
    assert host.sync() == []


def test_what_was_owed_is_not_told_to_the_next_host(serial):
    """The front dies with a request, and its host leaves: the next one hears nothing of it."""
    agent, host = serial()
    host.ok("guest-get-host-name")
    worker, front = agent.pid("info"), agent.pid("front")
    os.kill(worker, signal.SIGSTOP)
    try:
        host.send(b'{"execute":"guest-get-osinfo"}')
        time.sleep(0.2)
        new = agent.plug()
        os.kill(agent.process.pid, signal.SIGSTOP)
        kill(front)
        host.close()
        os.kill(agent.process.pid, signal.SIGCONT)
        agent.await_open(new)
        new.send(PING)
        assert new.line(timeout=5) == b'{"return": {}}'
        assert new.sync() == []
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
        kill(worker, signal.SIGCONT)


def test_idle_front_killed_on_a_line(serial):
    agent, host = serial()
    host.ok("guest-ping")
    kill(agent.pid("front"))
    host.send(PING)
    assert host.line(timeout=2) == b'{"return": {}}'


def test_a_missing_line_ends_the_start(folder):
    agent = SerialAgent(folder / "a")
    done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and f"there is no device {agent.line}" in done.stderr


def test_a_file_is_no_line(folder):
    for options in ([], ["-r"]):
        agent = SerialAgent(folder / "a", "open", *options)
        agent.line.write_text("")
        done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
        assert done.returncode == 1 and "is not a character device" in done.stderr
    agent = SerialAgent(folder / "b")
    agent.line.symlink_to("/dev/null")
    done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "serial line" in done.stderr


def test_retry_path(serial):
    """What is not there at the start is tried again every 5 s, and meanwhile the agent sleeps."""
    agent, _ = serial("open", "-r", plugged=False)
    assert agent.host() == "absent"
    host = agent.plug()
    wait_for(lambda: agent.host() == "present", 8, "the line to be found")
    assert host.ok("guest-ping") == {}


@pytest.fixture
def dev():
    """A folder where a policy may say that devices are."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bh-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


TWO = "policy 1\ncommands 49\nchannel one isa-serial:{}\nchannel two isa-serial:{}\nallow @sync on one, two\n"
MAIN = "policy 1\ncommands 49\nchannel main\nchannel two isa-serial:{}\nallow @sync on main, two\n"


def test_duplicates_are_refused(folder, dev):
    """By path, and by device where the paths differ."""
    agent = SerialAgent(folder / "a", MAIN.format(dev / "line"))
    agent.line = dev / "line"
    agent.way[-1] = str(agent.line)
    with agent.plug():
        done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
        assert done.returncode == 1 and "channels main and two have the same path" in done.stderr, done.stderr
        (dev / "other").symlink_to(agent.line)
        agent.write_policy(TWO.format(agent.line, dev / "other"))
        done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
        assert done.returncode == 1 and "channels one and two have the same device" in done.stderr, done.stderr


def test_two_lines(dev, serial):
    """Two ports, two hosts; one leaves, the other is served on."""
    agent, _ = serial(TWO.format(dev / "one", dev / "two"), "-r", plugged=False)
    hosts = []
    for name in ("one", "two"):
        agent.line = dev / name
        hosts.append(agent.plug())
    wait_for(lambda: [row["host"] for row in agent.status()["channels"]] == ["present"] * 2, 10, "both hosts")
    for host in hosts:
        assert host.sync() == []
    hosts[0].close()
    wait_for(lambda: agent.host() == "away", 5, "the first host to be missed")
    assert hosts[1].sync() == []
    agent.line = dev / "one"
    assert agent.attach().sync() == []


# --- lines that come and go by a reload ----------------------------------------------------


def reload(agent, text):
    """The word of the status file for what came of it, and the message."""
    path = agent.folder / "bulkhead" / "status.json"
    before = json.loads(path.read_text())["reload"]["count"]
    agent.write_policy(text)
    agent.process.send_signal(signal.SIGHUP)
    row = wait_for(lambda: (row := json.loads(path.read_text())["reload"])["count"] > before and row, 10, "the reload")
    return row["outcome"], row["message"]


def lines(**paths):
    """A policy with these lines as channels."""
    return ("policy 1\ncommands 49\n" + "".join(f"channel {name} isa-serial:{path}\n" for name, path in paths.items())
            + f"allow @sync on {', '.join(paths)}\n")


def hosts_of(agent):
    return {row["name"]: (row["path"], row["host"]) for row in agent.status()["channels"]}


@pytest.fixture
def wired(serial, dev):
    """An agent with a line `one`, and plug(name), which plugs a host into a line."""
    agent, _ = serial(lines(one=dev / "one"), "-r", plugged=False)

    def plug(name):
        agent.line = dev / name
        return agent.plug()

    return agent, plug


def served(agent, name):
    wait_for(lambda: hosts_of(agent).get(name, ("", ""))[1] == "present", 8, f"the host of {name}")


def test_a_line_is_added_and_removed_with_its_host(wired, dev):
    agent, plug = wired
    one, two = plug("one"), plug("two")
    served(agent, "one")
    assert reload(agent, lines(one=dev / "one", two=dev / "two"))[0] == "adopted"
    served(agent, "two")
    assert one.sync() == [] and two.sync() == []
    assert reload(agent, lines(one=dev / "one"))[0] == "adopted"
    wait_for(lambda: not two.is_heard(), 5, "the line of the removed channel to be closed")
    assert hosts_of(agent) == {"one": (str(dev / "one"), "present")}
    assert one.sync() == []


def test_a_line_gets_another_name_with_its_host(wired, dev):
    """It is another channel: another front, and records under its name."""
    agent, plug = wired
    one = plug("one")
    served(agent, "one")
    assert one.sync() == []
    for name in ("uno", "un", "one"):
        assert reload(agent, lines(**{name: dev / "one"}))[0] == "adopted"
        served(agent, name)
        one.resync(1, 5)
        number = one.error("guest-file-open", {"path": "/x"})[3]
        assert agent.record(number)["src"] == f"{name}/front"
        assert list(hosts_of(agent)) == [name]


def test_a_line_gets_another_name_within_a_reply(wired, dev, folder):
    """The rest of the reply is lost; what the new channel says is not glued to it."""
    def policy(name):
        return f"policy 1\ncommands 49\nchannel {name} isa-serial:{dev / 'one'}\nallow @sync on {name}\nallow @file-read on {name} {{ types any }}\n"

    agent, plug = wired
    one = plug("one")
    served(agent, "one")
    assert reload(agent, policy("one"))[0] == "adopted"
    one.send(big_read(one, folder))
    assert one.socket.recv(1000).startswith(b'{"return": {"buf-b64": "AAAA')
    assert reload(agent, policy("uno"))[0] == "adopted"
    served(agent, "uno")
    one.send(PING)
    assert b"return" not in one.line()
    assert one.line() == b'{"return": {}}'


def test_a_line_gets_another_path_with_its_host(wired, dev):
    agent, plug = wired
    one, two = plug("one"), plug("two")
    served(agent, "one")
    assert reload(agent, lines(one=dev / "two"))[0] == "adopted"
    wait_for(lambda: not one.is_heard(), 5, "the former line to be closed")
    served(agent, "one")
    assert hosts_of(agent)["one"][0] == str(dev / "two")
    two.resync(1, 5)
    assert two.sync() == []


def test_a_line_that_is_not_there_keeps_the_old_policy(serial, dev):
    """A new way is opened before the old one goes, whether the name is new too or not."""
    agent, _ = serial(plugged=False, policy=lines(one=dev / "one"), start=False)
    agent.line = dev / "one"
    one = agent.plug()
    agent.start()
    served(agent, "one")
    for text in (lines(one=dev / "missing"), lines(two=dev / "missing")):
        word, message = reload(agent, text)
        assert word == "refused" and "missing" in message
        assert one.sync() == []


def test_a_line_is_the_same_device_under_another_path(wired, dev):
    agent, plug = wired
    one = plug("one")
    served(agent, "one")
    (dev / "same").symlink_to("one")
    assert reload(agent, lines(one=dev / "same"))[0] == "adopted"
    served(agent, "one")
    one.resync(1, 5)


def test_a_line_is_renamed_while_nobody_is_plugged_in(serial, dev):
    """What the old channel had cannot be opened at once: it is looked for, also without -r."""
    agent, _ = serial(plugged=False, policy=lines(one=dev / "one"), start=False)
    agent.line = dev / "one"
    one = agent.plug()
    agent.start()
    served(agent, "one")
    one.close()
    wait_for(lambda: hosts_of(agent)["one"][1] == "away", 5, "the hang-up to be seen")
    assert reload(agent, lines(uno=dev / "one"))[0] == "adopted"
    assert hosts_of(agent)["uno"][1] == "absent"
    one = agent.plug()
    served(agent, "uno")
    one.resync(1, 5)  # behind the line feed that ends whatever the last channel had begun


def test_virtio_is_the_default(folder):
    if os.path.exists("/dev/virtio-ports/org.qemu.guest_agent.0"):
        pytest.skip("this machine has the port of a guest agent")
    (folder / "state").mkdir()
    done = subprocess.run([BUILD / "bulkhead", "-t", folder / "state"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "no virtio-serial port /dev/virtio-ports/org.qemu.guest_agent.0" in done.stderr


# --- an inherited socket ---------------------------------------------------------------------

# Makes a listening socket at descriptor 3 as a service manager does, then becomes the agent.
ACTIVATE = """
import os, socket, sys
path, count, pid, *command = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX) if path else socket.socket(socket.AF_INET)
if path:
    listener.bind(path)
listener.listen(1)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS=count, LISTEN_PID=pid or str(os.getpid()), LISTEN_FDNAMES="agent")
os.execv(command[0], command)
"""


def activated(folder, path, count="1", pid="", way=("-m", "pigeon", "-p", "/ignored")):
    agent = Agent(folder / "agent", prefix=[sys.executable, "-c", ACTIVATE, str(path), count, pid])
    agent.way = list(way)
    return agent


def test_inherited_socket(folder):
    agent = activated(folder, folder / "given")
    agent.socket = folder / "given"
    with agent:
        with agent.client() as client:
            assert client.ok("guest-get-host-name")
            row = agent.status()["channels"][0]
            assert (row["method"], row["path"], row["host"]) == ("unix-listen", str(agent.socket), "present")
        listener = f"/proc/{agent.process.pid}/fdinfo/3"
        flags = int(re.search(r"flags:\s+(\d+)", pathlib.Path(listener).read_text())[1], 8)
        assert flags & os.O_CLOEXEC
    assert agent.socket.exists(), "it is the service manager's"


@pytest.mark.parametrize("path,count,words", [("given", "2", "exactly one"), ("given", "11", "exactly one"),
                                              ("", "1", "neither a unix nor a virtio")])
def test_what_cannot_be_inherited(folder, path, count, words):
    agent = activated(folder, folder / path if path else "", count)
    done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and words in done.stderr


def test_a_socket_for_another_process_is_left_alone(folder):
    """LISTEN_PID is not ours: -m and -p hold."""
    agent = activated(folder, folder / "given", "1", "1", ("-m", "unix-listen", "-p", str(folder / "agent/agent.sock")))
    with agent, agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert agent.status()["channels"][0]["path"] == str(agent.socket)


# --- vsock -----------------------------------------------------------------------------------


def no_loopback():
    """Why a virtio socket of this machine cannot be reached from itself, or None."""
    try:
        with socket.socket(socket.AF_VSOCK) as listener, socket.socket(socket.AF_VSOCK) as client:
            listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            listener.listen(1)
            client.settimeout(0.3)
            client.connect((1, listener.getsockname()[1]))
    except OSError as error:
        return f"this kernel has no vsock loopback: {error}"
    return None


@pytest.mark.skipif(no_loopback() is not None, reason=str(no_loopback()))
@pytest.mark.parametrize("peers,served", [("", False), ("set vsock-peers host\n", False), ("set vsock-peers local\n", True),
                                          ("set vsock-peers host local\n", True), ("set vsock-peers any\n", True)])
def test_vsock(folder, peers, served):
    agent = Agent(folder / "agent", f"policy 1\ncommands 49\n{peers}use open\n")
    agent.way = ["-m", "vsock-listen", "-p", "4294967295:47110"]
    agent.answers = (agent.folder / "bulkhead" / "status.json").exists
    with agent:
        client = Client.__new__(Client)
        client.socket, client.buffer = socket.socket(socket.AF_VSOCK), bytearray()
        client.socket.settimeout(5)
        client.socket.connect((1, 47110))
        with client:
            if served:
                assert client.ok("guest-get-host-name")
                assert client.sync() == []
            else:
                with pytest.raises((Gone, OSError)):
                    client.ok("guest-ping")
                assert "a connection of CID 1 was refused" in agent.log_text()


def test_vsock_listens(folder):
    """Without a way in from here: it is there, and status says so."""
    try:
        socket.socket(socket.AF_VSOCK).close()
    except OSError as error:
        pytest.skip(f"this kernel has no virtio sockets: {error}")
    agent = Agent(folder / "agent", "open")
    agent.way = ["-m", "vsock-listen", "-p", "4294967295:47111"]
    agent.answers = (agent.folder / "bulkhead" / "status.json").exists
    with agent:
        row = agent.status()["channels"][0]
        assert (row["method"], row["path"], row["host"]) == ("vsock-listen", "4294967295:47111", "listening")


@pytest.mark.parametrize("address", ["5", "5:", ":5", "2:5x", "4294967296:5", "2:4294967296", "-1:5", "2:5:6", " 2:5"])
def test_vsock_addresses_are_read_strictly(folder, address):
    (folder / "state").mkdir()
    done = subprocess.run([BUILD / "bulkhead", "-m", "vsock-listen", "-p", address, "-t", folder / "state"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and f"'{address}' is no address of a virtio socket" in done.stderr


# --- unix sockets -----------------------------------------------------------------------------


def test_socket_is_for_its_owner(start):
    agent = start("open")
    assert agent.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.root
def test_other_users_are_refused(start):
    """Even where somebody opened the socket's mode for them."""
    agent = start("open")
    agent.folder.chmod(0o755)
    agent.socket.chmod(0o666)
    code = ("import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "s.settimeout(5); sys.exit(len(s.recv(1)))")
    assert subprocess.run([sys.executable, "-c", code, agent.socket], timeout=20).returncode == 0
    assert "a connection of user 65534 was refused" in agent.log_text()
    with agent.client() as client:
        assert client.ok("guest-ping") == {}


def test_what_is_in_the_way_of_a_socket(folder, start):
    """A file stays, a served socket stays, a socket that nobody serves is replaced."""
    agent = Agent(folder / "agent")
    agent.socket.write_text("precious")
    done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "is not a socket" in done.stderr
    assert agent.socket.read_text() == "precious"
    agent.socket.unlink()
    other = start("open")
    agent.way = ["-m", "unix-listen", "-p", str(other.socket)]
    done = subprocess.run(agent.command(), capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "served by another process" in done.stderr
    other.process.kill()
    other.process.wait()
    assert other.socket.exists()
    other.start()


# --- root's own channel -------------------------------------------------------------------------


def local_client(agent, timeout=10.0):
    return Client(agent.folder / "bulkhead" / "local.sock", timeout)


def local_processes(agent):
    return [row["role"] for row in agent.processes() if row["channel"] == "local"]


def local_row(agent):
    return next(row for row in agent.status()["channels"] if row["name"] == "local")


def test_local_is_started_for_its_client_only(start):
    agent = start("open")
    row = local_row(agent)
    path = agent.folder / "bulkhead" / "local.sock"
    assert (row["method"], row["path"], row["host"]) == ("local", str(path), "listening")
    assert path.stat().st_mode & 0o777 == 0o600
    assert local_processes(agent) == []
    with local_client(agent) as client:
        assert client.ok("guest-ping") == {}
        assert local_processes(agent) == ["front"]
        assert local_row(agent)["host"] == "present"
    wait_for(lambda: local_processes(agent) == [], 5, "the front of local to end")
    with local_client(agent) as client:
        assert client.ok("guest-get-host-name")
        assert client.sync() == []
    wait_for(lambda: "front" not in local_processes(agent), 5, "the front of local to end")
    assert local_row(agent)["requests"] >= 3


def test_local_lives_beside_a_busy_main(start):
    agent = start("open")
    with agent.client() as client:
        client.send(big_read(client, agent.folder))
        assert client.socket.recv(100)
        with local_client(agent) as local:
            for _ in range(20):
                assert local.call("guest-ping", timeout=1) == {"return": {}}
            assert local.error("guest-file-read", {"handle": 1, "count": 1})
    assert next(row for row in agent.status()["channels"] if row["name"] == "main")["failures"] == 0


def test_local_knows_no_handle_of_main(start):
    agent = start("open")
    with agent.client() as client, local_client(agent) as local:
        handle = client.open("/dev/zero")
        assert local.error("guest-file-read", {"handle": handle, "count": 1})
        assert client.read(handle, 1) == (b"\0", False)


def test_killed_front_of_local_keeps_its_client(start):
    agent = start("open")
    with local_client(agent) as client:
        client.ok("guest-ping")
        kill(next(row["pid"] for row in agent.processes("front") if row["channel"] == "local"))
        assert client.call("guest-ping", timeout=2) == {"return": {}}


def test_local_has_the_rules_of_main(start):
    agent = start("policy 1\ncommands 49\nuse inventory\ndeny guest-get-time\n")
    with agent.client() as client, local_client(agent) as local:
        assert local.error("guest-get-time")[:1] == client.error("guest-get-time")[:1] == ("CommandNotFound",)
        assert local.ok("guest-get-host-name") == client.ok("guest-get-host-name")


def test_local_stays_where_a_reload_names_it(start):
    """Main's clone and `channel local` are one channel: its client stays connected."""
    agent = start("policy 1\ncommands 49\nallow @sync\n")
    with local_client(agent) as client:
        assert client.sync() == []
        word, _ = reload(agent, "policy 1\ncommands 49\nchannel main\nchannel local\nallow @sync on main, local\n")
        assert word == "adopted"
        assert client.sync() == []


def test_a_policy_with_channels_opens_what_it_names(folder):
    path = folder / "one.sock"
    agent = Agent(folder / "agent", f"policy 1\ncommands 49\nchannel one unix-listen:{path}\nallow @sync on one\n")
    agent.socket = path
    with agent:
        assert [row["name"] for row in agent.status()["channels"]] == ["one"]
        assert not (agent.folder / "bulkhead" / "local.sock").exists()


def test_where_local_has_no_room(folder):
    """A state folder whose name is too long for a socket: the host is served all the same."""
    long = folder / ("d" * 90)
    long.mkdir()
    agent = Agent(folder / "agent")
    agent.way = ["-m", "unix-listen", "-p", str(agent.socket), "-t", str(long)]
    agent.options = ["-t", str(long)]
    with agent, agent.client() as client:
        assert client.ok("guest-ping") == {}
        assert "channel local is not there" in agent.log_text()


def test_idle_costs_nothing_on_a_socket(start):
    agent = start("open")
    with agent.client() as client:
        client.ok("guest-get-host-name")
        time.sleep(0.5)
        assert woken(agent.pids(), 3, lambda grown: not grown) == {}
