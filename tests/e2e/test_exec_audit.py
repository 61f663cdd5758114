"""What the log says of an execution: who asked, what exactly ran and as whom, which rule of which policy let it, when, for how
long, how it ended and how much it wrote.
"""

import calendar
import hashlib
import json
import re
import signal
import time

import pytest

from execs import MNT, SHOW, begin, compile_c, copy, digest, finish, rule, run, serving
from harness import wait_for

pytestmark = pytest.mark.root


def rules():
    show = compile_c(SHOW, MNT / "show", "-static")
    (MNT / "link").symlink_to("show")
    return [rule("shows", show, "rest any dash-ok", 'env "LANG"', "stdin yes"),
            rule("linked", MNT / "link", "rest any dash-ok"),
            rule("keeps", copy("/bin/sh", MNT / "keeps"), "rest any dash-ok", "audit-output full"),
            rule("sums", copy("/bin/sh", MNT / "sums"), "rest any dash-ok", "audit-output digest", "output 64K", "timeout 2s"),
            rule("of-nobody", copy(show, MNT / "of-nobody"), "sandbox plain", "user nobody"),
            rule("of-root", copy(show, MNT / "of-root"), "sandbox none", "user root", on="beta"),
            "allow @extension on beta"]


@pytest.fixture(scope="module")
def agent():
    with serving(rules) as pair:
        yield pair


@pytest.fixture
def client(agent):
    with agent.client() as connection:
        yield connection


class Story:
    """The records of the execution that was started last under a rule."""

    def __init__(self, agent, name):
        self.agent = agent
        self.act = wait_for(lambda: [row for row in agent.audit("act") if row.get("rule") == name], 5, "the act")[-1]

    def of(self, kind=None, words=""):
        return [row for row in self.agent.audit(kind) if row.get("of") == self.act["n"] and re.search(words, row.get("text", ""))]

    def one(self, kind, words):
        rows = wait_for(lambda: self.of(kind, words), 5, f"a {kind} with {words}; there is {self.of()}")
        assert len(rows) == 1, rows
        return rows[0]


def seconds(row):
    """Since the epoch."""
    return calendar.timegm(time.strptime(row["time"][:19], "%Y-%m-%dT%H:%M:%S"))


def test_one_execution(agent, client):
    start = time.time()
    got = run(client, MNT / "show", "a b", 'c"d', "\u00e9", env=["LANG=C"])
    story, done = Story(agent, "shows"), time.time()
    act = story.act
    assert act["src"].startswith("alpha") and "exec" in act["src"]
    assert act["cmd"] == "guest-exec" and act["obj"] == str(MNT / "show")
    assert act["rule"] == "shows" and act["policy"] == agent.status()["policy"]["digest"][:16]
    assert start - 1 <= seconds(act) <= done
    for words in ('"a b"', '\\"d"', "\u00e9", "minimal", digest(MNT / "show")):
        assert words in act["text"], act
    assert f"({act['user']})".encode() in got.out or act["user"] == "bulkhead-run", "as whom it ran"
    end = story.one("result", "^exit status 0, after [0-9]+ ms$")
    assert end["policy"] == act["policy"] and end["handle"] > 0
    wrote = story.one("result", "sha256")
    assert f"{len(got.out)} bytes" in wrote["text"] and hashlib.sha256(got.out).hexdigest() in wrote["text"]
    assert wrote["written"] == len(got.out) and "spool" in wrote["src"]


def test_act_is_written_before_it_runs(agent, client):
    """A program looks into the log for its own record."""
    run(client, MNT / "show")
    act = Story(agent, "shows").act
    end = Story(agent, "shows").one("result", "exit")
    assert act["boot"] <= end["boot"] and act["n"] < end["n"]


def test_link_is_resolved(agent, client):
    run(client, MNT / "link", "x")
    act = Story(agent, "linked").act
    assert act["obj"] == str(MNT / "show") and digest(MNT / "show") in act["text"]


@pytest.mark.parametrize("name, channel, user, sandbox", [("of-nobody", "alpha", "nobody", "plain"), ("of-root", "beta", "root", "none")])
def test_as_whom(agent, name, channel, user, sandbox):
    with agent.client(channel=channel) as client:
        run(client, MNT / name)
    act = Story(agent, name).act
    assert act["user"] == user and sandbox in act["text"] and act["src"].startswith(channel)
    assert ("spawn" in act["src"]) == (sandbox == "none")


ENDS = {"exit 0": "^exit status 0, ", "exit 7": "^exit status 7, ", "kill -TERM $$": "^signal 15, ", "kill -SEGV $$": "^signal 11, "}


@pytest.mark.parametrize("script", ENDS)
def test_how_it_ended(agent, client, script):
    run(client, MNT / "sums", "-c", script)
    Story(agent, "sums").one("result", ENDS[script])


def test_time_limit_and_how_long(agent, client):
    got = run(client, MNT / "sums", "-c", "sleep 100")
    assert got.signal == signal.SIGKILL
    row = Story(agent, "sums").one("result", "^signal 9, at its time limit, ")
    took = int(re.search(r"(\d+) ms", row["text"])[1])
    assert 1900 <= took < 6000


def test_how_much_it_wrote(agent, client):
    """Of what was not kept too: the digest is of all of it."""
    got = run(client, MNT / "sums", "-c", "head -c 100000 /dev/zero; echo err >&2")
    assert len(got.out) == 65536 and got.out_truncated
    row = Story(agent, "sums").one("result", "sha256")
    assert "100000 bytes" in row["text"] and hashlib.sha256(bytes(100000)).hexdigest() in row["text"]
    assert "4 bytes" in row["text"] and hashlib.sha256(b"err\n").hexdigest() in row["text"]
    assert row["written"] == 100004 and str(100000 - 65536) in row["text"]


def test_full_output_is_in_the_log(agent, client):
    """Hostile bytes as well, and none of them makes a line of its own."""
    script = r"""printf 'one\n{"n":1,"kind":"act"}\n\033[31mred\000\377\n'; echo problem >&2"""
    run(client, MNT / "keeps", "-c", script)
    story = Story(agent, "keeps")
    story.one("result", "sha256")
    texts = [row["text"] for row in story.of("event")]
    assert any('one\n{"n":1,"kind":"act"}\n\x1b[31mred\\0' in words for words in texts), texts
    assert any("problem" in words for words in texts)
    raw = b"".join(path.read_bytes() for path in agent.audit_dir.glob("*.log"))
    assert b"\x1b" not in raw
    agent.verify()


def test_full_output_is_bounded(agent, client):
    run(client, MNT / "keeps", "-c", "yes 0123456789 | head -c 1000000")
    story = Story(agent, "keeps")
    row = story.one("result", "sha256")
    kept = sum(len(row["text"]) for row in story.of("event"))
    assert 60000 <= kept < 80000 and "recorded" in row["text"] and "1000000 bytes" in row["text"]


def test_digest_alone_keeps_nothing(agent, client):
    run(client, MNT / "sums", "-c", "echo a-word-that-is-looked-for")
    story = Story(agent, "sums")
    story.one("result", "sha256")
    assert not [row for row in agent.audit() if row.get("of") == story.act["n"] and "a-word" in row.get("text", "")]


def test_input_is_not_in_the_log(agent, client):
    """It may be a password, and so may the value of a variable."""
    run(client, MNT / "show", env=["LANG=not-for-the-log"], stdin=b"topsecret" * 10)
    Story(agent, "shows").one("result", "sha256")
    assert "topsecret" not in json.dumps(agent.audit()) and "not-for-the-log" not in json.dumps(agent.audit())


def test_many_arguments_are_cut_not_lost(agent, client):
    run(client, MNT / "show", *["word"] * 3000)
    act = Story(agent, "shows").act
    assert len(act["text"]) <= 4095 and act["text"].count("word") > 100 and digest(MNT / "show") in act["text"]


def test_nobody_can_write_a_line(agent, client):
    for words in ('x\n{"n":1}', "\x1b[2J", '"],"rule":"other"'):
        run(client, MNT / "show", words)
        assert words in Story(agent, "shows").act["text"].replace('\\"', '"')
    agent.verify()


def test_polling_is_counted_not_recorded(agent, client):
    number = begin(client, MNT / "sums", "-c", "sleep 0.3")
    for _ in range(100):
        client.ok("guest-exec-status", {"pid": number})
    finish(client, number)
    assert not [row for row in agent.audit() if row.get("cmd") == "guest-exec-status" and row["kind"] != "summary"]


def test_signal_is_recorded(agent):
    with agent.client(channel="beta") as client:
        number = begin(client, MNT / "of-root")
        client.call("bulkhead-exec-signal", {"pid": number, "signal": "kill"})
    rows = [row for row in agent.audit() if row.get("cmd") == "bulkhead-exec-signal"]
    assert rows or wait_for(lambda: [r for r in agent.audit() if r.get("cmd") == "bulkhead-exec-signal"], 5, "the record")


def test_the_chain_is_whole(agent):
    agent.verify()
