"""While file systems are frozen the audit log is kept in memory: nothing blocks, nothing is lost, nothing is told twice.

The log lies on an ext4 image of the test's own, which is really frozen; nobody else sees it mounted. Who says on the
frozen page what is frozen is the test, as the guard would.
"""

import os
import re
import signal
import threading
import time

import pytest

from frozen import FROZEN, IS_FROZEN, THAWED, Disk, Page, in_own_mounts, run
from harness import MIB, Agent, Client, kill, wait_for

pytestmark = pytest.mark.root

RECORDS = 10000
CHANNELS = 7  # that are refused; one more is answered
SOURCES = 512  # BH_SOURCES_MAX
PER_SECOND = 100  # refusals of one source that are recorded singly


class FrozenAgent(Agent):
    """Its state is on a tmpfs, its audit log on the disk. Each channel refuses all but synchronisation and pings."""

    def __init__(self, folder, disk, *options, channels=1):
        place = folder / "agent"
        place.mkdir()
        (disk.path / "audit").mkdir(mode=0o700)
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "test", place)
        names = [f"c{n}" for n in range(channels)] + ["other"]
        lines = "\n".join(f"channel {name} unix-listen:{place}/{name}.sock" for name in names)
        policy = f"policy 1\ncommands 49\n{lines}\nallow @sync, guest-ping on {', '.join(names)}\n"
        super().__init__(place, policy, "--audit-dir", disk.path / "audit", *options)
        self.way = []
        self.disk = disk
        self.sockets = [place / f"{name}.sock" for name in names[:-1]]
        self.socket = place / "other.sock"

    @property
    def audit_dir(self):
        return self.disk.path / "audit"

    def kept(self):
        """Bytes of memory that the state of the audit process takes: its head, and lines that are kept."""
        stat = os.stat(f"/proc/{self.pid('audit')}/fd/6")
        return stat.st_blocks * 512

    def size(self):
        return sum(path.stat().st_size for path in self.audit_dir.glob("*.log"))

    def wait_for_records(self, count):
        return wait_for(lambda: len(rows := self.audit()) >= count and rows, 20, f"{count} lines")


def refuse(client, count):
    """So many requests that are refused: not as it is refused while frozen, of which there is no record, but ever."""
    client.send(b'{"execute":"guest-fsfreeze-status"}\n' * count)
    for _ in range(count):
        assert "error" in client.reply(timeout=5)


def flood(path, count, failures):
    """So many records of one source: as many a second as are recorded singly."""
    try:
        with Client(path) as client:
            while count > 0:
                began = time.monotonic()
                refuse(client, min(count, PER_SECOND))
                count -= PER_SECOND
                time.sleep(max(0.0, began + 1.2 - time.monotonic()))
    except Exception as error:
        failures.append(f"{path}: {error!r}")


def ping_until(path, ended, waits):
    with Client(path) as client:
        while not ended.is_set():
            began = time.monotonic()
            client.ok("guest-ping", timeout=10)
            waits.append(time.monotonic() - began)
            time.sleep(0.01)


def gaps(rows):
    """Numbers of records that are missing or there twice, by source: a number counts in steps of SOURCES."""
    wrong, last = [], {}
    for row in rows:
        number = row.get("n")
        if number is None:
            continue
        source = number % SOURCES
        if number != last.get(source, number - SOURCES) + SOURCES:
            wrong.append((row["src"], last.get(source), number))
        last[source] = number
    return wrong


def check(agent, least):
    rows = agent.audit()
    assert gaps(rows) == []
    assert not [row for row in rows if row["kind"] in ("gap", "lost")]
    assert len([row for row in rows if row["kind"] == "claim"]) >= least
    agent.verify()


def test_ten_thousand_records_of_a_freeze(folder):
    """From all channels at once, with the audit process killed again and again, and the agent's own log on the disk too."""
    def body():
        with Disk(folder) as disk, FrozenAgent(folder, disk, "-l", disk.path / "log", channels=CHANNELS) as agent:
            page, failures, waits, ended = Page(agent), [], [], threading.Event()
            small = agent.kept()
            each = RECORDS // CHANNELS
            threads = [threading.Thread(target=flood, args=(path, each, failures)) for path in agent.sockets]
            pings = threading.Thread(target=ping_until, args=(agent.socket, ended, waits))
            with page.freeze(disk):
                before, log = agent.size(), (disk.path / "log").stat().st_size
                for thread in [*threads, pings]:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    time.sleep(0.7)
                    kill(agent.pid("audit"))
                for thread in threads:
                    thread.join()
                assert (disk.path / "log").stat().st_size == log and agent.size() == before
                agent.verify()  # the log until the freeze
                wait_for(lambda: agent.kept() > small + RECORDS * 200, 10, "the records to be in memory")
            wait_for(lambda: len([row for row in agent.audit() if row["kind"] == "claim"]) >= each * CHANNELS, 20, "all of them")
            ended.set()
            pings.join()
            assert failures == [] and len(waits) > 500 and max(waits) < 1.0, (failures, len(waits), max(waits))
            check(agent, each * CHANNELS)
            assert agent.kept() < small + MIB  # it has given it back
            wait_for(lambda: (disk.path / "log").read_text().count("audit was ended by signal 9") > 10, 10, "the log's lines")
    in_own_mounts(body)


def test_killed_at_the_thaw(folder):
    """Between two pieces, in one, before, after: what is in the file already the file's size says."""
    def body():
        with Disk(folder) as disk, FrozenAgent(folder, disk, channels=CHANNELS) as agent:
            page = Page(agent)
            clients = [Client(path) for path in agent.sockets]
            for turn in range(6):
                with page.freeze(disk):
                    for client in clients:
                        refuse(client, PER_SECOND)
                    victim = agent.pid("audit")
                time.sleep(0.01 * turn)
                kill(victim)
                wait_for(lambda: len([row for row in agent.audit() if row["kind"] == "claim"]) >=
                         (turn + 1) * CHANNELS * PER_SECOND, 20, "all of them")
                time.sleep(1.1)  # the next refusals are of another second
            check(agent, 6 * CHANNELS * PER_SECOND)
    in_own_mounts(body)


def test_a_write_in_the_midst_is_finished_by_the_thaw(folder):
    """Nobody has said that the file system is frozen: the audit process stands still with it. Nothing is lost by that."""
    def body():
        with Disk(folder) as disk, FrozenAgent(folder, disk) as agent, agent.client() as client:
            page = Page(agent)
            run("fsfreeze", "-f", disk.path)
            try:
                refuse(client, 50)
                page.say(FROZEN, (disk.device, IS_FROZEN))
                kill(agent.pid("audit"))
                time.sleep(0.5)
                refuse(client, 40)
                assert client.ok("guest-ping", timeout=1) == {}
            finally:
                run("fsfreeze", "-u", disk.path)
            time.sleep(0.5)  # the one that stood still has ended, and its successor keeps what is queued
            page.say(THAWED)
            wait_for(lambda: len([row for row in agent.audit() if row["kind"] == "claim"]) >= 90, 20, "all of them")
            check(agent, 90)
    in_own_mounts(body)


def test_stopped_while_frozen(folder):
    """The guard thaws first; what memory has kept is written before the agent ends."""
    def body():
        with Disk(folder) as disk, FrozenAgent(folder, disk) as agent:
            page = Page(agent)
            with page.freeze(disk):
                before = agent.size()
                with agent.client() as client:
                    refuse(client, PER_SECOND)
                time.sleep(0.2)
                assert agent.size() == before
                agent.process.send_signal(signal.SIGTERM)
                assert agent.process.wait(10) == 0
            check(agent, PER_SECOND)
            assert "stopping" in {row["text"] for row in agent.audit("event")}
    in_own_mounts(body)


def test_children_can_only_read_the_page(start):
    agent = start("open")
    with agent.client() as client:
        client.ok("guest-get-host-name")
        client.open("/dev/null", "r+")
        rows = agent.processes()
        assert {row["role"] for row in rows} >= {"front", "info", "fs", "opener", "audit"}
        for row in rows:
            place = f"/proc/{row['pid']}"
            assert os.readlink(f"{place}/fd/10").startswith("/memfd:bulkhead-frozen"), row["role"]
            flags = int(re.search(r"^flags:\s+(\d+)", open(f"{place}/fdinfo/10").read(), re.M)[1], 8)
            assert flags & os.O_ACCMODE == os.O_RDONLY, row["role"]
            assert os.stat(f"{place}/fd/10").st_mode & 0o777 == 0o400
        maps = open(f"/proc/{agent.pid('front')}/maps").read()
        assert re.search(r"r--s .*bulkhead-frozen", maps) and not re.search(r"w.s .*bulkhead-frozen", maps)
