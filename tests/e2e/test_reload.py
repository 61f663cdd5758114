"""SIGHUP is an epoch: all of the new policy from the next request on, or the old one, loudly; nothing is lost on the way."""

import base64
import json
import os
import random
import re
import signal
import threading
import time

import pytest

from harness import KIB, MIB, Agent, Client, Gone, kill, name_of, proc_status, wait_for

HEAD = "policy 1\ncommands 49\n"
INVENTORY = HEAD + "use inventory\n"
ROUNDS = 200
GROWTH_ROUNDS = 1000


def beneath(folder, verbs="read", user=None, name=None, extra="", on=None):
    """A rule over a folder."""
    who = f"    user {user}\n" if user else ""
    head = f"rule {name}: allow" if name else "allow"
    kinds = "@file-read" if verbs == "read" else "@file-read, @file-write"
    where = f" on {on}" if on else ""
    return f'{head} {kinds}{where} {{\n    path beneath "{folder}"\n    verbs {verbs}\n{who}{extra}}}\n'


def reload_outcome(agent, text=None):
    """Sends SIGHUP and returns what the status file says came of it."""
    if text is not None:
        agent.write_policy(text)
    path = agent.folder / "bulkhead" / "status.json"
    before = json.loads(path.read_text())["reload"]["count"]
    agent.process.send_signal(signal.SIGHUP)
    return wait_for(lambda: (row := json.loads(path.read_text())["reload"])["count"] > before and row, 10, "the reload")


def adopt(agent, text):
    outcome = reload_outcome(agent, text)
    assert outcome["outcome"] == "adopted", outcome
    return outcome


@pytest.fixture
def data(folder):
    for name in ("one", "two"):
        (folder / name).mkdir(mode=0o755)
        (folder / name / "file").write_bytes(name.encode())
    return folder


# What is granted, from the next request on.

def test_narrowing_holds_for_the_next_request(start):
    agent = start(INVENTORY)
    with agent.client() as client:
        client.ok("guest-get-host-name")
        adopt(agent, INVENTORY + "rule shy: deny guest-get-host-name\n")
        _, text, code, record = client.error("guest-get-host-name")
        assert code == 1201, text
        assert agent.record(record)["rule"] == "shy"
        enabled = {row["name"]: row["enabled"] for row in client.ok("guest-info")["supported_commands"]}
        assert not enabled["guest-get-host-name"] and enabled["guest-get-osinfo"]


def test_widening_holds_for_the_next_request(start):
    agent = start(INVENTORY + "deny guest-get-host-name\n")
    with agent.client() as client:
        client.ok("guest-get-osinfo")
        client.error("guest-get-host-name")
        adopt(agent, INVENTORY)
        client.ok("guest-get-host-name")


def test_idle_agent_without_a_client(start):
    agent = start(INVENTORY + "deny guest-get-host-name\n")
    adopt(agent, INVENTORY)
    with agent.client() as client:
        client.ok("guest-get-host-name")


def test_events_and_status_tell_it(start):
    agent = start(INVENTORY)
    old = agent.status()["policy"]
    outcome = adopt(agent, INVENTORY + "deny guest-get-host-name\n")
    new = agent.status()["policy"]
    assert old["digest"] != new["digest"] and new["state"] == "loaded" and new["loaded"] >= old["loaded"]
    words = f"policy reloaded: {old['digest'][:16]} -> {new['digest'][:16]}"
    assert outcome["message"].startswith(words)
    row = wait_for(lambda: next((row for row in agent.audit("event") if words in row.get("text", "")), None), 5, "event")
    assert row["src"] == "supervisor" and row["policy"] == new["digest"][:16]
    with agent.client() as client:
        record = client.error("guest-get-host-name")[3]
    assert agent.record(record)["policy"] == new["digest"][:16]


def test_the_same_text_touches_nothing(start):
    agent = start(INVENTORY)
    with agent.client() as client:
        client.ok("guest-get-host-name")
        before = agent.pids()
        assert reload_outcome(agent)["outcome"] == "unchanged"
        client.ok("guest-get-host-name")
        assert agent.pids() == before


@pytest.mark.parametrize("text", ["policy 1\nallow guest-frobnicate\n", "", "policy 1\nchannel a unix-listen:/nowhere/x\nuse open on a\n"])
def test_bad_policy_keeps_the_old_one_loudly(start, text):
    agent = start(INVENTORY)
    with agent.client() as client:
        client.ok("guest-get-host-name")
        digest = agent.status()["policy"]["digest"]
        outcome = reload_outcome(agent, text)
        assert outcome["outcome"] == "refused" and digest[:16] in outcome["message"]
        assert outcome["message"] in agent.log_text()
        wait_for(lambda: any(row.get("text") == outcome["message"] for row in agent.audit("event")), 5, "event")
        client.ok("guest-get-host-name")
        status = agent.status()
        assert status["policy"]["digest"] == digest and [row["name"] for row in status["channels"]] == ["main", "local"]
        adopt(agent, INVENTORY + "deny guest-get-host-name\n")
        client.error("guest-get-host-name")


def test_from_nothing_to_something(start):
    agent = start("policy 1\nallow guest-frobnicate\n")
    assert agent.status()["policy"]["state"] == "none"
    adopt(agent, INVENTORY)
    assert agent.status()["policy"]["state"] == "loaded"
    with agent.client() as client:
        client.ok("guest-get-host-name")


def test_shipped_profile(start):
    agent = start("standard")
    assert reload_outcome(agent)["outcome"] == "unchanged"


def test_the_log_file_is_opened_anew(start, folder):
    agent = start(INVENTORY, "-l", folder / "log")
    os.rename(folder / "log", folder / "log.1")
    assert reload_outcome(agent)["outcome"] == "unchanged"
    assert "nothing has changed" in (folder / "log").read_text()
    assert "nothing has changed" not in (folder / "log.1").read_text()


def test_lists_of_the_command_line_narrow_the_new_policy_too(start):
    agent = start(INVENTORY + "deny guest-get-osinfo\n", "-b", "guest-get-host-name")
    with agent.client() as client:
        client.error("guest-get-osinfo")
        adopt(agent, INVENTORY)
        client.ok("guest-get-osinfo")
        assert client.error("guest-get-host-name")[2] == 1201


# Files that are open.

@pytest.mark.root
def test_denied_handle_is_refused_and_closed(start, data):
    agent = start(HEAD + beneath(data))
    with agent.client() as client:
        handle, other = client.open(data / "one/file"), client.open(data / "two/file")
        adopt(agent, HEAD + beneath(data) + f'rule shut: deny @file-read {{\n    path beneath "{data}/one"\n}}\n')
        _, text, code, number = client.error("guest-file-read", {"handle": handle})
        assert code == 1203, text
        record = agent.record(number)
        assert record["rule"] == "shut" and record["handle"] == handle and record["obj"] == f"{data}/one/file"
        assert "has not been found" in client.error("guest-file-read", {"handle": handle})[1]
        closed = wait_for(lambda: [row for row in agent.audit("closed") if row["handle"] == handle], 5, "closed")
        assert "reload" in closed[0]["text"]
        assert client.read(other) == (b"two", True)


@pytest.mark.root
def test_handle_without_a_rule_is_refused(start, data):
    agent = start(HEAD + beneath(data))
    with agent.client() as client:
        handle = client.open(data / "one/file")
        adopt(agent, HEAD + beneath(data / "two"))
        assert client.error("guest-file-read", {"handle": handle})[2] == 1202


@pytest.mark.root
def test_a_file_may_be_closed_whatever_the_policy(start, data):
    agent = start(HEAD + beneath(data))
    with agent.client() as client:
        handle = client.open(data / "one/file")
        adopt(agent, HEAD + beneath(data / "two"))
        client.close_file(handle)


@pytest.mark.root
def test_handle_survives_where_rules_allow(start, data):
    agent = start(HEAD + beneath(data))
    with agent.client() as client:
        handle = client.open(data / "one/file")
        assert client.read(handle, 1) == (b"o", False)
        adopt(agent, HEAD + beneath(data, name="other"))
        adopt(agent, HEAD + beneath(data, name="another"))
        assert client.read(handle, 1) == (b"n", False)


@pytest.mark.root
def test_size_limit_of_the_new_rule(start, data):
    agent = start(HEAD + beneath(data, "read write", "root"))
    with agent.client() as client:
        handle = client.open(data / "one/file", "r+")
        assert client.write(handle, b"12345") == 5
        adopt(agent, HEAD + beneath(data, "read write", "root", extra="    max-size 8\n"))
        assert client.write(handle, b"123") == 3
        assert client.error("guest-file-write", {"handle": handle, "buf-b64": "MQ=="})[2] == 1205


@pytest.mark.root
def test_folder_comes_when_nothing_is_open(start, data):
    """The view of the running worker does not have the folder; its successor's does, at the very next request."""
    agent = start(HEAD + beneath(data / "one"))
    with agent.client() as client:
        client.close_file(client.open(data / "one/file"))
        old = agent.pid("fs")
        adopt(agent, HEAD + beneath(data))
        assert client.read(client.open(data / "two/file")) == (b"two", True)
        assert agent.pid("fs") != old
        assert all(row["restarts"] == 0 for row in agent.processes())
    assert "ended" not in agent.log_text()


@pytest.mark.root
def test_stale_worker_leaves_by_itself(start, data):
    agent = start(HEAD + beneath(data))
    with agent.client() as client:
        client.close_file(client.open(data / "one/file"))
        old = agent.pid("fs")
        adopt(agent, HEAD + beneath(data / "one"))
        wait_for(lambda: old not in agent.pids(), 5, "the worker that sees too much to end")


@pytest.mark.root
def test_stale_worker_serves_what_is_open(start, data):
    agent = start(HEAD + beneath(data / "one"))
    with agent.client() as client:
        handle = client.open(data / "one/file")
        old = agent.pid("fs")
        adopt(agent, HEAD + beneath(data))
        assert client.read(handle, 1) == (b"o", False)
        _, text, code, _ = client.error("guest-file-open", {"path": f"{data}/two/file"})
        assert code == 1403 and "close the files" in text
        again = client.open(data / "one/file")
        client.close_file(handle)
        assert agent.pid("fs") == old
        client.close_file(again)
        assert client.read(client.open(data / "two/file")) == (b"two", True)
        assert agent.pid("fs") != old


@pytest.mark.root
def test_a_way_back_is_not_stale(start, data):
    agent = start(HEAD + beneath(data / "one"))
    with agent.client() as client:
        handle = client.open(data / "one/file")
        old = agent.pid("fs")
        adopt(agent, HEAD + beneath(data))
        client.read(handle, 1)
        adopt(agent, HEAD + beneath(data / "one", name="back"))
        client.close_file(handle)
        client.open(data / "one/file")
        assert agent.pid("fs") == old


@pytest.mark.root
def test_user_of_a_write_rule_changes(start, data):
    os.chmod(data / "one", 0o777)
    agent = start(HEAD + beneath(data / "one", "read write create", "nobody"))
    with agent.client() as client:
        os.chmod(data / "one/file", 0o666)
        handle = client.open(data / "one/file", "r+")
        assert client.write(handle, b"x") == 1
        adopt(agent, HEAD + beneath(data / "one", "read write create", "daemon"))
        assert client.error("guest-file-write", {"handle": handle, "buf-b64": "MQ=="})[2] == 1202
        handle = client.open(data / "one/file", "r+")
        assert client.write(handle, b"y") == 1
        rows = wait_for(lambda: [row for row in agent.audit("act") if row.get("user") == "daemon"], 5, "records")
        assert {row["src"] for row in rows} == {"main/opener daemon"}
        assert {row["src"] for row in agent.audit("act") if row.get("user") == "nobody"} == {"main/opener nobody"}
        assert [row["label"] for row in agent.processes("opener")] == ["main/opener daemon"]
        numbers = [row["n"] for row in agent.audit() if "n" in row]
        assert len(numbers) == len(set(numbers)) and not agent.audit("gap")
    agent.verify()


@pytest.mark.root
def test_openers_of_the_old_policy_end_even_if_nobody_comes(start, data):
    """A taken-over fs worker that never comes for the new policy keeps no opener of the old one."""
    agent = start(HEAD + beneath(data / "one", "read write", "root"))
    with agent.client() as client:
        client.open(data / "one/file", "r+")
        fs, opener = agent.pid("fs"), agent.pid("opener")
        os.kill(fs, signal.SIGSTOP)
        adopt(agent, HEAD + beneath(data / "two", "read write", "root"))
        wait_for(lambda: opener not in agent.pids(), 9, "the opener to be ended")
        os.kill(fs, signal.SIGCONT)


# Channels that come and go.

def channels(folder, *names):
    return "".join(f"channel {name} unix-listen:{folder}/{name}.sock\nuse inventory on {name}\n" for name in names)


def connect(folder, name):
    return Client(folder / f"{name}.sock")


@pytest.fixture
def start_channels(folder):
    """start_channels(policy) runs an agent whose policy opens channels, `a` among them, with sockets in `folder`."""
    agents = []

    def run(policy):
        agent = Agent(folder / "agent", policy)
        agent.socket = folder / "a.sock"
        agents.append(agent)
        return agent.start()

    yield run
    for agent in agents:
        agent.stop()


@pytest.fixture
def several(start_channels, folder):
    return start_channels(HEAD + channels(folder, "a", "b"))


def gone(client):
    try:
        client.call("guest-ping", timeout=5)
    except (Gone, OSError):
        return True
    return False


def test_channel_is_added(several, folder):
    with connect(folder, "a") as a:
        a.ok("guest-ping")
        old = several.pids()
        adopt(several, HEAD + channels(folder, "a", "b", "c"))
        with connect(folder, "c") as c:
            c.ok("guest-get-host-name")
        a.ok("guest-ping")
        assert [row["name"] for row in several.status()["channels"]] == ["a", "b", "c"]
        kept = {pid for pid in old if pid in several.pids()}
        assert len(old) - len(kept) <= 1, "only the audit process is replaced: it learns the new names"


def test_channel_is_removed(several, folder):
    with connect(folder, "a") as a, connect(folder, "b") as b:
        a.ok("guest-ping")
        b.ok("guest-get-host-name")
        adopt(several, HEAD + channels(folder, "a"))
        assert gone(b) and not (folder / "b.sock").exists()
        a.ok("guest-ping")
        wait_for(lambda: {row["channel"] for row in several.processes()} == {"", "a"}, 5, "processes of b to end")
        rows = wait_for(lambda: [row for row in several.audit("summary") if row["src"] == "b/info"], 5, "its last summary")
        assert rows[0]["counts"] == {"guest-get-host-name": 1}


@pytest.mark.root
def test_what_went_through_the_files_of_a_removed_channel(start_channels, data):
    agent = start_channels(HEAD + channels(data, "a", "b") + beneath(data / "one", on="b"))
    with connect(data, "b") as b:
        handle = b.open(data / "one/file")
        b.read(handle)
        adopt(agent, HEAD + channels(data, "a"))
        rows = wait_for(lambda: agent.audit("closed"), 5, "the record of its end")
        assert rows[0]["handle"] == handle and rows[0]["read"] == 3 and rows[0]["src"] == "b/fs"


def test_channel_is_renamed(several, folder):
    """The same socket under another name is another channel: its client goes, its records have the new name."""
    renamed = (HEAD + channels(folder, "a", "b")).replace("channel b ", "channel other ").replace("on b\n", "on other\n")
    with connect(folder, "a") as a, connect(folder, "b") as b:
        a.ok("guest-ping")
        b.error("guest-file-open", {"path": "/x"})
        adopt(several, renamed)
        assert gone(b)
        a.ok("guest-ping")
    with connect(folder, "b") as other:
        number = other.error("guest-file-open", {"path": "/x"})[3]
        assert several.record(number)["src"] == "other/front"
    assert {row["src"] for row in several.audit("claim")} == {"b/front", "other/front"}


def test_records_that_wait_keep_the_name_of_their_writer(start_channels, folder):
    """The log is behind when a slot changes hands: its queue is read under the name it was filled under, and first."""
    text = HEAD + channels(folder, *"abcdefgh")  # as many as there may be: the new one gets the place of the old one
    agent = start_channels(text)
    os.kill(agent.pid("audit"), signal.SIGSTOP)
    with connect(folder, "h") as h:
        numbers = [h.error("guest-file-open", {"path": "/x"})[3] for _ in range(40)]  # more than one turn
    adopt(agent, text.replace("channel h ", "channel other ").replace("on h\n", "on other\n"))
    with connect(folder, "h") as other:
        numbers += [other.error("guest-file-open", {"path": "/x"})[3] for _ in range(5)]
    rows = wait_for(lambda: len(found := agent.audit("claim")) == 45 and found, 5, "records")
    assert [row["n"] for row in rows] == numbers == sorted(set(numbers))
    assert [row["src"] for row in rows] == ["h/front"] * 40 + ["other/front"] * 5
    assert not agent.audit("gap") and not [row for row in rows if "note" in row]
    agent.verify()


def test_the_socket_of_the_command_line_gets_a_name_and_loses_it(start):
    agent = start(INVENTORY)
    with agent.client() as client:
        client.ok("guest-ping")
        adopt(agent, HEAD + f"channel provider unix-listen:{agent.socket}\nuse inventory on provider\n")
        assert gone(client)
    with agent.client() as client:
        client.ok("guest-ping")
        assert [row["name"] for row in agent.status()["channels"]] == ["provider"]
        adopt(agent, INVENTORY)
        assert gone(client)
    with agent.client() as client:
        client.ok("guest-ping")


def test_all_channels_change(several, folder):
    adopt(several, HEAD + channels(folder, "x", "y", "z"))
    for name in "xyz":
        with connect(folder, name) as client:
            client.ok("guest-get-host-name")
    assert not (folder / "a.sock").exists()


def test_eight_channels_against_eight_others(several, folder):
    """Every slot changes hands, several times, and no record is told under a name that is not its writer's."""
    for step in range(6):
        names = [f"{'pq'[step % 2]}{i}" for i in range(8)]
        adopt(several, HEAD + channels(folder, *names))
        for name in names:
            with connect(folder, name) as client:
                client.error("guest-file-open", {"path": "/x"})
    wait_for(lambda: len(several.audit("claim")) == 48, 10, "records")
    for row in several.audit("claim"):
        assert re.fullmatch(r"[pq][0-7]/front", row["src"])
    numbers = [row["n"] for row in several.audit() if "n" in row]
    assert len(numbers) == len(set(numbers)) and not several.audit("gap")
    assert not [row for row in several.audit() if "note" in row]
    several.verify()


def test_a_way_that_is_taken_keeps_the_old_policy(several, folder):
    with open(folder / "c.sock", "w"):
        pass
    outcome = reload_outcome(several, HEAD + channels(folder, "a", "d", "c"))
    assert outcome["outcome"] == "refused" and "c.sock" in outcome["message"]
    assert not (folder / "d.sock").exists() and (folder / "c.sock").exists()
    with connect(folder, "b") as b:
        b.ok("guest-ping")


# Under load.

class Load(threading.Thread):
    """Asks on one connection without pause; every answer must be the right one."""

    def __init__(self, path, ask):
        super().__init__()
        self.path, self.ask, self.over, self.answers, self.failure = path, ask, threading.Event(), 0, None

    def run(self):
        try:
            with Client(self.path) as client:
                while not self.over.is_set():
                    self.ask(client)
                    self.answers += 1
        except BaseException as error:
            self.failure = error

    def finish(self):
        self.over.set()
        self.join(20)
        if self.failure:
            raise self.failure
        assert self.answers > 0


def same_host(client):
    assert client.ok("guest-get-host-name") == {"host-name": os.uname().nodename}
    assert client.ok("guest-sync", {"id": 7}) == 7


def read_and_write(folder):
    def ask(client):
        handle = client.open(folder / "one/file")
        assert client.read(handle) == (b"one", True)
        client.close_file(handle)
        handle = client.open(folder / "two/sink", "w")
        assert client.write(handle, b"12345678") == 8
        client.close_file(handle)
    return ask


def changing_policies(data):
    """Users, folders and names differ from each to the next; what the load asks is allowed by every one."""
    base = HEAD + channels(data, "a", "b")
    reads = [{"folder": data / "one"}, {"folder": data}, {"folder": data / "one", "name": "named"}]
    more = ["", beneath("/nowhere", "write", "daemon", on="b"), beneath("/nowhere", "write", "nobody", on="b")]
    write = beneath(data / "two", "write create truncate", "root", on="b")
    return [base + write + other + beneath(on="b", **read) for read in reads for other in more]


@pytest.mark.root
def test_200_reloads_under_load(start_channels, data):
    texts = changing_policies(data)
    agent = start_channels(texts[0])
    loads = [Load(data / "a.sock", same_host), Load(data / "b.sock", read_and_write(data))]
    for load in loads:
        load.start()
    for number in range(1, ROUNDS + 1):
        adopt(agent, texts[number % len(texts)])
    for load in loads:
        load.finish()
    assert "was ended" not in agent.log_text() and "ended with" not in agent.log_text()
    assert all(row["restarts"] == 0 for row in agent.processes())
    wait_for(lambda: agent.audit("event")[-1]["text"] in agent.log_text(), 5, "the last event")
    assert not agent.audit("gap") and not agent.audit("lost") and not [row for row in agent.audit() if "note" in row]
    agent.verify()


@pytest.mark.root
def test_reload_during_a_streamed_read(start, data):
    """The read ends under the policy it began with; the next one is refused."""
    content = random.Random(1).randbytes(16 * MIB)
    (data / "one/big").write_bytes(content)
    agent = start(HEAD + beneath(data / "one"))
    with agent.client() as client:
        handle = client.open(data / "one/big")
        client.send(json.dumps({"execute": "guest-file-read", "arguments": {"handle": handle, "count": 16 * MIB}}).encode())
        client.buffer += client.socket.recv(64 * KIB)
        adopt(agent, HEAD + beneath(data / "two"))
        reply = client.reply()["return"]
        assert reply["count"] == 16 * MIB and base64.b64decode(reply["buf-b64"]) == content
        assert client.error("guest-file-read", {"handle": handle})[2] == 1202


@pytest.mark.root
def test_reload_during_a_staged_write(start, data):
    """What is decided is decided when the request is whole: half of one keeps no old permission."""
    agent = start(INVENTORY + beneath(data / "one", "read write", "root"))
    with agent.client() as client:
        handle = client.open(data / "one/file", "r+")
        text = json.dumps({"execute": "guest-file-write", "arguments": {"handle": handle, "buf-b64": "QUJD" * 100000}})
        client.send(text[:300000].encode())
        adopt(agent, INVENTORY + beneath(data / "two", "read write", "root"))
        client.send(text[300000:].encode())
        assert "error" in client.reply()
        assert (data / "one/file").read_bytes() == b"one"
        client.ok("guest-ping")


@pytest.mark.root
def test_killed_workers_during_reloads(start_channels, data):
    """A request is answered, right or with an error, or the connection ends; then life goes on under the newest policy."""
    texts = changing_policies(data)
    agent = start_channels(texts[0])
    dice = random.Random(7)
    for number in range(60):
        with Client(data / "b.sock") as client:
            victims = agent.processes(["fs", "opener", "info", "front", "audit"][number % 5])
            agent.write_policy(texts[(number + 1) % len(texts)])
            client.send(json.dumps({"execute": "guest-file-open", "arguments": {"path": f"{data}/two/f", "mode": "w"}}).encode())
            agent.process.send_signal(signal.SIGHUP)
            time.sleep(dice.random() * 0.01)
            for row in victims:
                kill(row["pid"])
            try:
                assert set(client.reply(timeout=5)) & {"return", "error"}
            except (Gone, ValueError):
                pass
    reload_outcome(agent, texts[0])

    def works():
        try:
            with Client(data / "b.sock") as client:
                read_and_write(data)(client)
                return True
        except (AssertionError, Gone, OSError):
            return False
    wait_for(works, 15, "workers to come back")
    agent.verify()


def audit_pid(agent):
    return next((pid for pid in agent.pids() if name_of(pid) == "bulkhead-audit"), None)


@pytest.mark.root
def test_killed_audit_during_reloads(start_channels, data):
    """Slots change hands while the audit process dies again and again: each act is told once, under its writer's name."""
    sets = ["abcdefgh", "aijklmno"]  # as many as there may be: all but one change hands
    texts = [HEAD + channels(data, *names) + "".join(beneath(data / "two", "write create truncate", "root", on=name)
                                                     for name in names) for names in sets]
    agent = start_channels(texts[0])
    dice, writers = random.Random(11), {}
    for number in range(40):
        for name in (sets[number % 2][0], sets[number % 2][-1]):
            with connect(data, name) as client:
                for n in range(3):
                    path = f"{data}/two/{number}-{name}-{n}"
                    client.close_file(client.open(path, "w"))
                    writers[path] = name
        count = agent.status()["reload"]["count"]
        agent.write_policy(texts[(number + 1) % 2])
        agent.process.send_signal(signal.SIGHUP)
        for _ in range(3):
            time.sleep(dice.random() * 0.01)
            if pid := audit_pid(agent):
                kill(pid)
        wait_for(lambda: agent.status()["reload"]["count"] > count, 5, "the reload")
        assert agent.status()["reload"]["outcome"] == "adopted"
    acts = wait_for(lambda: len(rows := agent.audit("act")) >= len(writers) and rows, 10, "the records")
    assert sorted((row["obj"], row["src"].split("/")[0]) for row in acts) == sorted(writers.items())
    assert not agent.audit("gap") and not agent.audit("lost") and not [row for row in agent.audit() if "note" in row]
    agent.verify()


def figures(pid):
    status = proc_status(pid)
    return len(os.listdir(f"/proc/{pid}/fd")), int(status["VmRSS"].split()[0]) * KIB


@pytest.mark.root
def test_nothing_grows(start_channels, data):
    """Memory and descriptors of the supervisor, and the number of rows, over a thousand reloads."""
    texts = changing_policies(data)
    texts += [text.replace("channel b ", "channel c ").replace(" on b", " on c") for text in texts]
    agent = start_channels(texts[0])
    pid = agent.process.pid
    for number in range(1, len(texts) * 4):
        adopt(agent, texts[number % len(texts)])
    fds, rss = figures(pid)
    for number in range(GROWTH_ROUNDS):
        reload_outcome(agent, texts[number % len(texts)])
    new_fds, new_rss = figures(pid)
    assert new_fds <= fds + 8 and new_rss <= rss + 256 * KIB
    with agent.client() as client:
        client.ok("guest-ping")
    agent.verify()


# bulkheadctl reload.

def test_ctl_reload(start):
    agent = start(INVENTORY)
    agent.write_policy(INVENTORY + "deny guest-get-host-name\n")
    done = agent.ctl("reload", "--state-dir", agent.folder)
    assert "policy reloaded" in done.stdout
    done = agent.ctl("reload", "--state-dir", agent.folder)
    assert "nothing has changed" in done.stdout
    agent.write_policy("policy 1\nallow guest-frobnicate\n")
    done = agent.ctl("reload", "--state-dir", agent.folder, check=False)
    assert done.returncode == 1 and "guest-frobnicate" in done.stderr and "stays in force" in done.stderr
    rows = json.loads(agent.ctl("reload", "--json", "--state-dir", agent.folder, check=False).stdout)
    assert rows["outcome"] == "refused"
    assert "reload" in agent.ctl("status", "--state-dir", agent.folder).stdout
    agent.stop()
    assert agent.ctl("reload", "--state-dir", agent.folder, check=False).returncode == 3
