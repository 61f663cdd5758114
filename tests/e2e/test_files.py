"""The six file commands, as upstream serves them (policy `open`); every test runs on a handle or a path of its own."""

import os
import pathlib
import re
import stat
import threading

import pytest

from harness import KIB, MIB, memory, wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def agent(start):
    return start("open")


@pytest.fixture
def client(agent):
    with agent.client(timeout=60) as connection:
        yield connection


def test_new_file_is_0666_whatever_the_umask(client, folder):
    client.close_file(client.open(folder / "new", "w"))
    info = os.stat(folder / "new")
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o666, 0, 0)


def test_existing_file_keeps_mode_and_owner(client, folder):
    path = folder / "kept"
    path.write_bytes(b"old")
    os.chown(path, 4321, 4322)
    path.chmod(0o640)
    handle = client.open(path, "w")
    client.write(handle, b"new!")
    client.close_file(handle)
    info = os.stat(path)
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o640, 4321, 4322)
    assert path.read_bytes() == b"new!"


def test_handles_survive_the_connection(agent, folder):
    (folder / "f").write_bytes(b"0123456789")
    with agent.client() as client:
        handle = client.open(folder / "f")
        assert client.read(handle, 4) == (b"0123", False)
    with agent.client() as client:
        assert client.read(handle, 4) == (b"4567", False)
        client.close_file(handle)
    with agent.client() as client:
        text = client.error("guest-file-close", {"handle": handle})
        assert text[:2] == ("GenericError", f"handle '{handle}' has not been found")


def test_handles_are_not_reused_after_a_restart(start, folder):
    (folder / "f").write_bytes(b"x")
    agent = start("open")
    with agent.client() as client:
        first = client.open(folder / "f")
    agent.stop()
    agent.start()
    with agent.client() as client:
        client.error("guest-file-read", {"handle": first})
        second = client.open(folder / "f")
    assert first < second < 2**53


def test_1024_handles_and_no_more(client, folder):
    (folder / "f").write_bytes(b"x")
    handles = [client.open(folder / "f") for _ in range(1024)]
    assert len(set(handles)) == 1024
    assert client.error("guest-file-open", {"path": str(folder / "f")})[2] == 1205
    assert client.read(handles[0], 5) == (b"x", True)
    client.close_file(handles[500])
    handles[500] = client.open(folder / "f")
    for handle in handles:
        client.close_file(handle)


def test_eof_flags(client, folder):
    (folder / "f").write_bytes(b"x" * 100)
    handle = client.open(folder / "f")
    assert client.read(handle, 99) == (b"x" * 99, False)
    assert client.read(handle, 1) == (b"x", False)
    assert client.read(handle, 1) == (b"", True)
    client.ok("guest-file-seek", {"handle": handle, "offset": 0, "whence": "set"})
    assert client.read(handle, 101) == (b"x" * 100, True)


@pytest.mark.parametrize("count,good", [(0, True), (48 * MIB, True), (48 * MIB + 1, False), (-1, False)])
def test_read_count_bounds(client, folder, count, good):
    (folder / "f").write_bytes(b"abc")
    handle = client.open(folder / "f")
    reply = client.call("guest-file-read", {"handle": handle, "count": count})
    assert ("return" in reply) == good
    assert client.read(handle, 3)[0] == (b"" if good and count else b"abc")


@pytest.mark.parametrize("size", [1, 2, 3, 4095, 4096, 4097, 65535, 65536, 65537, 3 * MIB + 1])
def test_write_then_read_back(client, folder, size):
    data = os.urandom(size)
    handle = client.open(folder / "f", "w+")
    assert client.write(handle, data) == size
    client.ok("guest-file-seek", {"handle": handle, "offset": 0, "whence": 0})
    assert client.read(handle, size + 1) == (data, True)
    assert (folder / "f").read_bytes() == data


def test_written_bytes_are_there_after_flush(client, folder):
    handle = client.open(folder / "f", "w")
    client.write(handle, b"abc")
    client.ok("guest-file-flush", {"handle": handle})
    assert (folder / "f").read_bytes() == b"abc"


def test_refused_write_leaves_the_file_alone(client, folder):
    """Whether the fault is in the data or in what follows them."""
    (folder / "f").write_bytes(b"before")
    handle = client.open(folder / "f", "r+")
    start = b'{"execute":"guest-file-write","arguments":{"handle":%d,"buf-b64":"' % handle
    for rest in (b'QUJD!"}}', b'QUJD","count":4}}', b'QUJD","more":1}}', b'QUJD"},"wrong":1}', b'QUJD"}]', b"QUJD\xff"):
        client.send(start + rest)
        assert all("error" in reply for reply in client.sync())
        client.ok("guest-file-flush", {"handle": handle})
        assert (folder / "f").read_bytes() == b"before", rest


def test_write_with_handle_after_the_data(client, folder):
    """Members may come in any order; the data may come before one knows for which handle."""
    handle = client.open(folder / "f", "w")
    client.send(b'{"arguments":{"buf-b64":"QUJD","handle":%d},"execute":"guest-file-write"}' % handle)
    assert client.reply() == {"return": {"count": 3, "eof": False}}
    client.close_file(handle)
    assert (folder / "f").read_bytes() == b"ABC"


def test_line_feeds_in_base64(client, folder):
    handle = client.open(folder / "f", "w")
    assert client.ok("guest-file-write", {"handle": handle, "buf-b64": "QU\nJD\n\nREVG\n"})["count"] == 6
    client.close_file(handle)
    assert (folder / "f").read_bytes() == b"ABCDEF"


def test_full_device(client):
    handle = client.open("/dev/full", "w")
    replies = [client.call("guest-file-write", {"handle": handle, "buf-b64": "eA=="}),
               client.call("guest-file-flush", {"handle": handle}), client.call("guest-file-close", {"handle": handle})]
    assert any("No space left on device" in reply.get("error", {}).get("desc", "") for reply in replies)
    assert client.error("guest-file-read", {"handle": handle})[1] == f"handle '{handle}' has not been found"


def test_error_after_the_first_byte_is_a_short_count(client, folder):
    """A file that shrinks, a FIFO that runs dry: what was read is delivered."""
    os.mkfifo(folder / "fifo")
    writer = os.open(folder / "fifo", os.O_RDWR)
    handle = client.open(folder / "fifo")
    os.write(writer, b"abc")
    assert client.read(handle, 10)[0] == b"abc"
    assert "Resource temporarily unavailable" in client.error("guest-file-read", {"handle": handle})[1]
    os.close(writer)


class Peak:
    """Highest memory of an agent's tree while the block runs."""

    def __init__(self, agent):
        self.agent, self.peak = agent, 0

    def __enter__(self):
        self.before, self.done = memory(self.agent.pids()), threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.005):
            self.peak = max(self.peak, memory(self.agent.pids()) - self.before)

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def test_48_mib_read(agent, client, folder):
    data = os.urandom(48 * MIB)
    (folder / "big").write_bytes(data)
    handle = client.open(folder / "big")
    client.read(handle, 1)
    client.ok("guest-file-seek", {"handle": handle, "offset": 0, "whence": 0})
    with Peak(agent) as watch:
        got, _ = client.read(handle, 48 * MIB)
    assert got == data
    print(f"growth during a 48 MiB read: {watch.peak / MIB:.2f} MiB")
    assert watch.peak < 4 * MIB
    wait_for(lambda: anonymous(agent.pid("front")) < 192 * KIB, 5, "the front to give back its buffers")


def anonymous(pid):
    """Bytes that are this process's alone."""
    return int(re.search(r"^Anonymous:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1]) * KIB


def test_48_mb_write(agent, client, folder):
    data = os.urandom(48_000_000)
    handle = client.open(folder / "big", "w")
    client.write(handle, b"")
    with Peak(agent) as watch:
        assert client.write(handle, data) == len(data)
    client.close_file(handle)
    assert (folder / "big").read_bytes() == data
    print(f"growth during a 48 MB write: {watch.peak / MIB:.2f} MiB, after it: "
          f"{(memory(agent.pids()) - watch.before) / MIB:.2f} MiB")
    assert watch.peak < 72 * MIB
    wait_for(lambda: memory(agent.pids()) - watch.before < 4 * MIB, 5, "the memory to be given back")
