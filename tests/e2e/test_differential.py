"""The same requests to qemu-ga and to us under `open`. What differs is a row of tests/differences.json, or a bug.

A scenario is a list of steps, run on one connection of each agent. A step is a request (sent as JSON), or raw bytes
(what comes back before the next sync is the list of replies). "$h" stands for the handle that the step named "h" got.
Replies are compared after normalisation: handles by name, folders, times; error texts only where a client reads them
(the table of contract texts), and the kernel's reason at the end of any. Counters are held against readings of our own.
"""

import base64
import errno
import json
import os
import pathlib
import re
import time

import pytest

import counters
from harness import CODE, PEER_PROGRAM, ROOT, Agent, Peer
from logins import DEAD, own_run, record
from mountns import MountNamespace
from netns import NetNamespace

ROWS = [row for row in json.loads((ROOT / "tests" / "differences.json").read_text()) if "suite" not in row]
USED = set()
UTMP = (record(b"bob", 2000, 500000) + record(b"root", 1000) + record(b"gone", 1, 0, DEAD) + record(b"bob", 1999, 250000) +
        record(b"caf\xc3\xa9", 7, 1))
B64 = {name: base64.b64encode(data).decode() for name, data in
       {"hello": b"hello, world\n", "zeros": bytes(5000), "empty": b"", "one": b"x", "bin": bytes(range(256))}.items()}

# One file system at two places, and one under another.
MOUNTS = """
mkdir bound over
mount --bind ext4 bound
truncate -s 8M over.image
mkfs.ext4 -q over.image
mount -o loop over.image over
mount -t tmpfs tmpfs over
"""

# Texts that clients or the upstream test read. All others may be worded freely.
CONTRACT = re.compile(
    r"^(The command .* has not been found|Parameter '.*' is (missing|unexpected)"
    r"|handle '.*' has not been found|Command .* has been disabled.*"
    r"|Invalid parameter type for '.*', expected: (integer|string|boolean|array|object|number))$")
REASONS = sorted((os.strerror(number) for number in errno.errorcode), key=len, reverse=True)


def step(command, save=None, **arguments):
    request = {"execute": command}
    if arguments:
        request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
    return request, save


def open_(path, mode=None, save="h"):
    return step("guest-file-open", save, path=path, **({"mode": mode} if mode is not None else {}))


def read(count=None, handle="$h"):
    return step("guest-file-read", handle=handle, **({"count": count} if count is not None else {}))


def write(data, handle="$h", **more):
    return step("guest-file-write", handle=handle, buf_b64=data, **more)


def seek(offset, whence, handle="$h"):
    return step("guest-file-seek", handle=handle, offset=offset, whence=whence)


def flush(handle="$h"):
    return step("guest-file-flush", handle=handle)


def close(handle="$h"):
    return step("guest-file-close", handle=handle)


def raw(text):
    return (text.encode() if isinstance(text, str) else text), None


PLAIN = ["guest-ping", "guest-get-time", "guest-get-host-name", "guest-get-osinfo", "guest-get-timezone", "guest-get-vcpus",
         "guest-get-memory-blocks", "guest-get-memory-block-info", "guest-get-cpustats", "guest-get-diskstats",
         "guest-network-get-interfaces", "guest-get-users"]
# Lists that qemu-ga gives in the order of the folder, and what tells their elements apart.
UNSORTED = {"guest-get-vcpus": "logical-id", "guest-get-memory-blocks": "phys-index", "guest-get-disks": "name"}
MODES = ["r", "rb", "w", "wb", "a", "ab", "r+", "rb+", "r+b", "w+", "wb+", "w+b", "a+", "ab+", "a+b"]
BAD_MODES = ["", "x", "rw", "e", "R", "r ", "rbb", "br", "wx"]

SCENARIOS = {
    "plain": [step(command) for command in PLAIN],
    "plain with empty arguments": [({"execute": command, "arguments": {}}, None) for command in PLAIN],
    "plain with an unexpected argument": [({"execute": c, "arguments": {"x": 1}}, None) for c in PLAIN],
    "info": [step("guest-info"), ({"execute": "guest-info", "arguments": {"x": 1}}, None)],
    "commands that qemu-ga has only had since": [step("guest-get-load"), step("guest-get-load", x=1)],
    "sync": [step("guest-sync", id=n) for n in (0, 1, -1, 2**53, 2**63 - 1, -2**63)]
    + [step("guest-sync", id=v) for v in (2**63, 1.0, 1.5, "1", None, True, [1], {})]
    + [step("guest-sync"), step("guest-sync", id=1, other=2)],
    "sync-delimited": [step("guest-sync-delimited", id=n) for n in (7, -7, 2**63 - 1, 2**63, "x", None)]
    + [step("guest-ping"), step("guest-sync-delimited"), step("guest-ping")],
    "unknown": [step(c) for c in ("guest-nothing", "", "GUEST-PING", "guest-ping ", "query-status", "guest-\u00e9")],
    "envelope id": [({"execute": "guest-ping", "id": value}, None) for value in
                    (1, -5, "text", None, True, [], [1, "a"], {"a": {"b": None}}, 0.5, 2**64 - 1, "\u00e9\u0001")]
    + [({"execute": "guest-nothing", "id": 9}, None), ({"execute": "guest-sync", "id": "e"}, None)],
    "envelope members": [({"execute": "guest-ping", "exec-oob": 1}, None), ({"exec-oob": "guest-ping"}, None),
                         ({}, None), ({"execute": 1}, None), ({"execute": None}, None), ({"arguments": {}}, None),
                         ({"execute": "guest-ping", "arguments": None}, None),
                         ({"execute": "guest-ping", "arguments": []}, None),
                         ({"execute": "guest-ping", "more": 1}, None)],
    "dialect": [raw(text) for text in (
        "{'execute':'guest-ping'}", '{"execute":\'guest-ping\'}', ' \t\r\n{"execute" : "guest-ping" } ',
        '{"execute":"guest-\\u0070ing"}', "{'execute':'guest-sync','arguments':{'id':1}}",
        '{"execute":"guest-ping"}{"execute":"guest-ping"}', '{"execute":"guest-sync","arguments":{"id":-0}}',
        '{"execute":"guest-sync","arguments":{"id":1e3}}', '{"execute":"guest-ping","id":"\\ud83d\\ude00"}',
        '{"execute":"guest-ping","id":"\\/"}', '{"execute":"guest-ping","id":1.5e3}',
        '{"execute":"guest-ping","id":"it\\\'s"}')],
    "not JSON": [raw(text) for text in (
        "[]", "[1, 2]", '"text"\n', "17\n", "null\n", "true\n", '{"execute":"guest-ping",}', '{"execute" "guest-ping"}',
        '{execute:"guest-ping"}', '{"execute":"guest-ping","execute":"guest-ping"}', '{"a":01}', '{"a":+1}', '{"a":.5}',
        '{"a":NaN}', '{"a":"\\x"}', '{"a":"\\ud800"}', b'{"a":"\xc3\x28"}', b'{"a":"\xed\xa0\x80"}', '{"a":"b\tc"}',
        '{"a":True}', "]", "}")],
    "disks": [step("guest-get-fsinfo"), step("guest-get-disks"), step("guest-get-fsinfo", x=1), step("guest-get-disks", x=1)],
    "0xFF": [raw(b'{"execute":"guest-pi\xff'), raw(b'{"execute":\xff'), raw(b'{"execute":"guest-ping"}\xff'), raw(b"\xff")],
    "open modes of an existing file": [s for mode in MODES for s in (open_("$dir/text", mode), close())],
    "open modes of a new file": [s for number, mode in enumerate(MODES)
                                 for s in (open_(f"$dir/new{number}", mode), close())],
    "open, bad modes": [open_("$dir/text", mode) for mode in BAD_MODES],
    "open, arguments": [step("guest-file-open"), step("guest-file-open", path=1), step("guest-file-open", path=None),
                        step("guest-file-open", path="$dir/text", mode=1),
                        step("guest-file-open", path="$dir/text", mode=None),
                        step("guest-file-open", path="$dir/text", extra=1)],
    "open, objects": [open_("$dir/none"), open_("$dir/none/x", "w"), open_("$dir/dangling", "w"), open_("$dir/dangling"),
                      open_("$dir/loop"), open_("$dir/text/x"), open_("", "r"), open_("$dir/" + "x" * 256),
                      open_("$dir", "w"), open_("$dir/closed/none"), open_("/proc/none", "w")],
    "directory": [open_("$dir"), read(), close()],
    "link": [open_("$dir/link"), read(), close(), open_("$dir/hard"), read(), close()],
    "relative path": [open_("text"), read(), close()],
    "read": [open_("$dir/text"), read(), read(), read(1), seek(0, 0), read(5), read(8), read(), seek(0, "set"), read(13),
             read(13), seek(0, "set"), read(14), close()],
    "read, count": [open_("$dir/text"), read(0), read(-1), read(50331648), read(50331649), read(2**63 - 1), read(2**63),
                    read("1"), read(1.0), step("guest-file-read"), step("guest-file-read", handle="x"),
                    step("guest-file-read", handle="$h", count=None), read(1, handle=None), close()],
    "read of empty, binary, long": [open_("$dir/empty"), read(), close(), open_("$dir/binary"), read(300), close(),
                                    open_("$dir/long"), read(), read(100000), read(1000000), close()],
    "read of what only writes": [open_("$dir/text2", "a"), read(), close()],
    "FIFO without a writer": [open_("$dir/fifo"), read(), close()],
    "devices": [open_("/dev/zero"), read(16), seek(3, 0), close(), open_("/dev/null", "r+"), write(B64["hello"]),
                read(), close(), open_("/dev/full", "w"), write(B64["hello"]), flush()],
    "proc": [open_("/proc/sys/kernel/ostype"), read(), read(), close()],
    "doors of the agent itself": [open_("/proc/self/fd/0", save="m"), open_("/proc/self/mem", save="m")],
    "write": [open_("$dir/w1", "w"), write(B64["hello"]), write(B64["zeros"]), write(B64["empty"]), flush(), close(),
              open_("$dir/w1"), read(14), read(6000), close()],
    "write, count": [open_("$dir/w2", "w"), write(B64["hello"], count=5), write(B64["hello"], count=0),
                     write(B64["hello"], count=13), write(B64["hello"], count=14), write(B64["hello"], count=-1),
                     write(B64["hello"], count=2**63), write(B64["hello"], count="1"), flush(), close(),
                     open_("$dir/w2"), read(), close()],
    "write, base64": [open_("$dir/w3", "w"), write("aGVs\nbG8=\n"), write("aGVs bG8="), write("aGVs\r\nbG8="),
                      write("aGVs-G8="), write("!"), write(""), write(1), step("guest-file-write", handle="$h"), flush(), close(), open_("$dir/w3"), read(), close()],
    "write, base64 that is not whole": [open_("/dev/null", "w"), write("SGVsbG8"), write("S"), write("===="), close()],
    "write to what only reads": [open_("$dir/text"), write(B64["hello"]), flush(), close()],
    "append": [open_("$dir/w4", "w"), write(B64["hello"]), close(), open_("$dir/w4", "a"), write(B64["one"]), flush(),
               close(), open_("$dir/w4", "a+"), read(), write(B64["one"]), seek(0, 0), read(), close()],
    "read and write mixed": [open_("$dir/w5", "w+"), write(B64["hello"]), seek(0, "set"), read(5), write(B64["one"]),
                             read(3), seek(0, 0), read(), close(), open_("$dir/w5", "r+"), write(B64["one"]), read(3),
                             seek(2, 0), write(B64["one"]), flush(), seek(0, 0), read(), close()],
    "write binary": [open_("$dir/w6", "w+"), write(B64["bin"]), seek(0, 0), read(), close()],
    "truncation": [open_("$dir/w7", "w"), write(B64["hello"]), close(), open_("$dir/w7", "w"), close(), open_("$dir/w7"),
                   read(), close()],
    "seek": [open_("$dir/text"), seek(3, 0), read(2), seek(-2, 1), read(2), seek(-1, 2), read(), seek(100, 0), read(),
             seek(-100, 0), seek(0, "cur"), seek(0, "end"), seek(2, "set"), seek(-1, "cur"), read(), close()],
    "seek, whence": [open_("$dir/text"), seek(0, 3), seek(0, -1), seek(0, "SET"), seek(0, ""), seek(0, None),
                     seek(0, 1.0), seek("1", 0), seek(2**63, 0), seek(2**63 - 1, 0), seek(0, True),
                     step("guest-file-seek", handle="$h"), step("guest-file-seek", handle="$h", offset=1), close()],
    "seek on a FIFO": [open_("$dir/fifo"), seek(0, 0), close()],
    "handles": [s for n in (0, -1, 12, 2**63 - 1, 2**63, "1", 1.0, None) for s in
                (read(handle=n), write(B64["one"], handle=n), seek(0, 0, handle=n), flush(handle=n), close(handle=n))],
    "closed twice": [open_("$dir/text"), close(), close(), read(), flush(), seek(0, 0), write(B64["one"])],
    "ids": [raw('{"execute":"guest-ping","id":%s}' % text) for text in (
        "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615", "true",
        "false", '""', "{}", "[[]]", "[1,[2,{}]]", '{"id":1}', '{"execute":"guest-info"}', "0.5", "-0.25", '"\\u0041"',
        '"\\u00e9"', '"\\ud834\\udd1e"', '"\\b\\f\\n\\r\\t"', '"\\"\\\\"', '"\x7f"', "'single'", "'\"'", '"\'"')]
    + [raw(b'{"execute":"guest-ping","id":"' + text + b'"}') for text in
       (b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xef\xbf\xbd")],
    "ids that are no JSON": [raw(b'{"a":' + text + b"}\n") for text in (
        b"0e1", b"-", b"1e", b"1.e1", b"--1", b"0x1", b"1_0", b"Infinity", b"nul", b"TRUE", b'"\xff"', b'"\xc0\xaf"',
        b'"\xf5\x80\x80\x80"', b'"\xe2\x82"', b'"\xef\xbf\xbe"', b'"\xed\xbf\xbf"', b'"\\udc00"', b'"\\ud800\\ud800"',
        b'"\\u12"', b'"\\u12g4"', b'"\\a"', b'"\x01"', b'"a\nb"', b"'a", b"1 2", b"[1,]", b"[,1]", b"[1 2]", b"{1:2}",
        b'{"b" 1}', b'{"b":}', b'{"b":1,}', b'{,}', b"/* */ 1", b"#")],
    "white space": [raw(text) for text in (
        '\n\n{"execute":"guest-ping"}\n', '\r\n{"execute":"guest-ping"}\r\n', '{\t"execute"\n:\r"guest-ping"\n}',
        '{"execute":"guest-ping","arguments":{ \n }}', '{"execute":"guest-ping"} \t {"execute":"guest-ping","id":1}',
        '{"execute":"guest-sync","arguments":{"id" : 5 } , "id" : [ 1 , 2 ] }')],
    "several at once": [raw(text) for text in (
        '{"execute":"guest-ping","id":1}{"execute":"guest-nothing","id":2}{"execute":"guest-sync","arguments":{"id":3}}',
        '{"execute":"guest-sync","arguments":{"id":"x"},"id":1}\n{"execute":"guest-sync","arguments":{"id":2},"id":2}\n',
        '{"execute":"guest-ping","id":1}' * 40, '{"execute":"guest-ping","no":1}{"id":3}{"execute":"guest-ping","id":4}',
        '[1]\n{"execute":"guest-ping","id":1}\n"text"\n{"execute":"guest-ping","id":2}\n')],
    "order of members": [raw(text) for text in (
        '{"id":1,"execute":"guest-ping"}', '{"arguments":{"id":4},"execute":"guest-sync"}',
        '{"arguments":{"id":4},"id":"i","execute":"guest-sync"}', '{"arguments":{},"execute":"guest-ping","id":null}')],
    "twice": [raw(text) for text in (
        '{"execute":"guest-sync","arguments":{"id":1,"id":2}}\n', '{"execute":"guest-ping","id":1,"id":1}\n',
        '{"execute":"guest-ping","arguments":{},"arguments":{}}\n', '{"execute":"guest-ping","id":{"a":1,"a":2}}\n')],
    "which fault is told": [raw(text) for text in (
        '{"execute":"guest-nothing","arguments":{"x":1},"id":1}', '{"execute":"guest-nothing","arguments":[],"id":1}',
        '{"execute":"guest-sync","arguments":{"x":1},"id":1}', '{"execute":"guest-file-read","arguments":{"handle":"1","x":1}}',
        '{"execute":"guest-file-close","arguments":{}}', '{"execute":"guest-file-seek","arguments":{"handle":1,"offset":0}}',
        '{"execute":"guest-file-write","arguments":{"handle":1}}', '{"execute":"guest-file-open","arguments":{"mode":"r"}}',
        '{"execute":"guest-file-open","arguments":{"path":{}}}', '{"execute":"guest-file-open","arguments":{"path":[]}}',
        '{"execute":"guest-file-open","arguments":{"path":true}}', '{"execute":"guest-file-read","arguments":{"handle":{}}}',
        '{"execute":"guest-file-read","arguments":{"handle":[1]}}', '{"execute":"guest-file-read","arguments":{"handle":false}}',
        '{"execute":"guest-ping","arguments":{"a":{"b":[1]}}}', '{"execute":"guest-info","arguments":{"":1}}')],
    "depth": [raw('{"execute":"guest-ping","id":' + "[" * n + "]" * n + "}\n") for n in (1, 8, 32, 60)],
    "cut short": [raw(b'{"execute":"guest-ping"\xff{"execute":"guest-ping","id":1}'), raw(b'{"a":"\xff{"execute":"guest-ping","id":2}'),
                  raw(b'[[[[\xff{"execute":"guest-ping","id":3}'), raw(b'"\xff'), raw(b'{"execute":"guest-ping","id":4}\xff')],
    "paths": [s for path in ("$dir/./text", "$dir//text", "$dir/closed/../text", "$dir/folder/inner", "$dir/to-folder/inner",
                             "$dir/\u00e9", "$dir/with space", "$dir/line\nfeed", "$dir/" + "n" * 255)
              for s in (open_(path), read(), close())]
    + [open_(path) for path in ("$dir/text/", "$dir/text/.", "$dir/none/../text", "$dir/to-folder/none", "$dir/folder/../none",
                                "$dir/\u00e8", "/", "//none", "$dir/" + "n/" * 300 + "x")],
    "create in odd places": [s for path in ("$dir/folder/new", "$dir/to-folder/new2", "$dir/\u00fc", "$dir/ ", "$dir/-x", "$dir/a\nb")
                             for s in (open_(path, "w"), write(B64["one"]), close(), open_(path), read(), close())],
    "holes": [open_("$dir/w9", "w+"), seek(100, "set"), write(B64["one"]), seek(0, "cur"), seek(-1, "end"), read(),
              seek(90, "set"), read(5), read(100), read(1), seek(0, "end"), write(B64["hello"]), seek(-13, "end"), read(), close()],
    "append ignores the position": [open_("$dir/text2", "a+"), seek(0, "set"), write(B64["one"]), seek(0, "set"), read(), close(),
                                    open_("$dir/text2", "r+"), write(B64["one"]), seek(0, "set"), read(), close()],
    "what another handle does": [open_("$dir/w10", "w", save="a"), open_("$dir/w10", "r", save="b"), read(handle="$b"),
                                 write(B64["hello"], handle="$a"), flush(handle="$a"), read(handle="$b"), read(handle="$b"),
                                 open_("$dir/w10", "w", save="c"), read(handle="$b"), seek(0, "set", handle="$b"),
                                 read(handle="$b"), close(handle="$c"), close(handle="$b"), close(handle="$a")],
    "written, not flushed": [open_("$dir/w11", "w", save="a"), open_("$dir/w11", "r", save="b"),
                             write(B64["hello"], handle="$a"), read(handle="$b"), close(handle="$a"), close(handle="$b")],
    "flush of all kinds": [s for path, mode in (("$dir/text", "r"), ("$dir/text", "r+"), ("$dir", "r"), ("/dev/null", "w"),
                                                ("$dir/fifo", "r"), ("$dir/fifo", "r+")) for s in (open_(path, mode), flush(), close())],
    "fifo": [open_("$dir/fifo", "w"), open_("$dir/fifo", "r+"), write(B64["hello"]), seek(0, "cur"), close()],
    "two handles of one file": [open_("$dir/w8", "w", save="a"), open_("$dir/w8", "r", save="b"),
                                write(B64["hello"], handle="$a"), flush(handle="$a"), read(handle="$b"),
                                close(handle="$a"), close(handle="$b")],
}


def furnish(path):
    """The folder both agents find: the same names and bytes."""
    path.mkdir()
    for name, data in {"text": b"hello, world\n", "text2": b"more\n", "empty": b"", "binary": bytes(range(256)),
                       "long": bytes(i * 7 % 251 for i in range(200000))}.items():
        (path / name).write_bytes(data)
    (path / "link").symlink_to("text")
    (path / "dangling").symlink_to("nowhere")
    (path / "loop").symlink_to("loop")
    os.link(path / "text", path / "hard")
    os.mkfifo(path / "fifo")
    (path / "closed").mkdir(mode=0o700)
    (path / "folder").mkdir()
    (path / "to-folder").symlink_to("folder")
    (path / "folder" / "inner").write_bytes(b"inner\n")
    for name in ("\u00e9", "with space", "line\nfeed", "n" * 255):
        (path / name).write_text(name)


class Runner:
    """One agent's side of a scenario."""

    def __init__(self, agent, path):
        self.agent, self.path, self.names = agent, path, {}
        self.client = agent.client()
        self.before = {command: read() for command, read in counters.READ.items()}

    def fill(self, value):
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, str) and value.startswith("$") and value[1:] in self.names:
            return self.names[value[1:]]
        return value.replace("$dir", str(self.path)) if isinstance(value, str) else value

    def run(self, request, save):
        if isinstance(request, bytes):
            self.client.send(request)
            return json.dumps([self.normal(reply) for reply in self.client.sync()], sort_keys=True)
        self.client.send(json.dumps(self.fill(request)).encode() + b"\n")
        line = self.client.line()
        reply = json.loads(line.lstrip(b"\xff"))
        if save:
            self.names.pop(save, None)
            if "return" in reply:
                self.names[save], reply["return"] = reply["return"], f"<handle {save}>"
        mark = "0xFF " if line[:1] == b"\xff" else ""
        return mark + json.dumps(self.normal(reply, request.get("execute")), sort_keys=True)

    def normal(self, reply, command=None):
        if "error" in reply:
            reply["error"]["desc"] = self.text(reply["error"]["desc"])
        elif command == "guest-get-time" and abs(reply["return"] / 1e9 - time.time()) < 10:
            reply["return"] = "<now>" if reply["return"] % 1000 == 0 else "<now, with nanoseconds>"
        elif command in counters.READ:
            reply["return"] = [self.counted(command, row) for row in reply["return"]]
        elif command == "guest-get-fsinfo":
            reply["return"] = [self.filesystem(row) for row in reply["return"]]
        elif command in UNSORTED:
            reply["return"] = [row for row in reply["return"] if not self.is_another_s(row)]
            reply["return"].sort(key=lambda row: row[UNSORTED[command]])
        elif command == "guest-network-get-interfaces":
            for row in reply["return"]:
                if "statistics" in row:  # what two agents read at two times need not be the same
                    row["statistics"] = {name: type(value).__name__ for name, value in row["statistics"].items()}
        elif command == "guest-info":
            reply["return"]["supported_commands"].sort(key=lambda row: row["name"])
        return reply

    def filesystem(self, row):
        """What 9.1 brought is left out (test_disks.py looks at it), and the figures of what others write to."""
        row.pop("total-bytes-privileged", None)
        for name in () if row["name"].startswith("loop") else ("used-bytes", "total-bytes"):
            row[name] = type(row[name]).__name__
        return row

    def is_another_s(self, row):
        """A loop device that somebody else on this machine has, and may give up at any moment."""
        file = pathlib.Path(f"/sys/block/{row.get('name', '')[5:]}/loop/backing_file")
        return row.get("name", "").startswith("/dev/loop") and not (file.exists() and "mounts0" in file.read_text())

    def counted(self, command, row):
        """A row of counters without those that lie between our own readings, before the scenario and now."""
        key, values = counters.split(command, row)
        wrong = counters.outside(values, self.before[command][key], counters.READ[command]()[key])
        for name in set(values) - set(wrong):
            values[name] = "<between>"
        return [key, row.get("type"), values]

    def text(self, desc):
        desc = desc.replace(str(self.path), "$dir")
        for name, number in self.names.items():
            desc = desc.replace(f"'{number}'", f"'<{name}>'")
        if CONTRACT.match(desc):
            return desc
        desc = CODE.sub("", desc)
        reason = next((r for r in REASONS if desc.endswith(": " + r)), None)
        return f"<text>: {reason}" if reason else "<text>"


def row_for(request, peer, ours):
    """The row of the table that covers this difference, or None."""
    for row in ROWS:
        if all(re.search(row[key], text, re.S) for key, text in
               (("request", request), ("peer", peer), ("ours", ours))):
            return row["id"]
    return None


def elements(peer, ours):
    """Two lists of objects of the same length are compared element by element: a row excuses one of them, not all."""
    try:
        lists = [json.loads(text)["return"] for text in (peer, ours)]
    except (ValueError, KeyError, TypeError):
        return [(peer, ours)]
    if not all(isinstance(value, list) and value and isinstance(value[0], dict) for value in lists):
        return [(peer, ours)]
    if "mountpoint" in lists[1][0]:  # one that only one of them tells stands against null; the order is that of the rest
        places = [[row["mountpoint"] for row in value] for value in lists]
        rows = [{row["mountpoint"]: row for row in value} for value in lists]
        both = [[place for place in listed if place in rows[0] and place in rows[1]] for listed in places]
        return [tuple(map(json.dumps, both))] + [tuple(json.dumps(value.get(place), sort_keys=True) for value in rows)
                                                for place in dict.fromkeys(places[0] + places[1])]
    if len(lists[0]) != len(lists[1]):
        return [(peer, ours)]
    return [tuple(json.dumps(element, sort_keys=True) for element in pair) for pair in zip(*lists)]


def compare(name, theirs, mine):
    wrong = []
    for number, (request, save) in enumerate(SCENARIOS[name]):
        shown = request.decode("latin-1") if isinstance(request, bytes) else json.dumps(request)
        for peer, ours in elements(theirs.run(request, save), mine.run(request, save)):
            if peer == ours:
                continue
            row = row_for(shown, peer, ours)
            if row is None:
                wrong.append(f"{number}: {shown[:300]}\n   qemu-ga: {peer[:600]}\n   ours:    {ours[:600]}")
            USED.add(row)
    return wrong


@pytest.mark.root
@pytest.mark.parametrize("name", SCENARIOS)
def test_same(name, folder, peer_and_agent):
    runners = []
    for agent in peer_and_agent:
        path = pathlib.Path(agent.cwd) / name.replace(" ", "_").replace(",", "")
        furnish(path)
        if name == "relative path":  # it starts in the agent's folder
            os.rename(path / "text", path.parent / "text")
        runners.append(Runner(agent, path))
    try:
        wrong = compare(name, *runners)
    finally:
        for runner in runners:
            runner.client.close()
    left = [[str(p.relative_to(r.path)), oct(p.lstat().st_mode), p.lstat().st_size] for r in runners
            for p in sorted(r.path.rglob("*"))]
    half = len(left) // 2
    if left[:half] != left[half:]:
        wrong.append(f"files differ afterwards:\n   qemu-ga: {left[:half]}\n   ours:    {left[half:]}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def peer_and_agent(tmp_path_factory):
    if not os.path.exists(PEER_PROGRAM):
        pytest.skip("qemu-ga is missing (package qemu-guest-agent)")
    base = tmp_path_factory.mktemp("d")
    places = [base / "p", base / "o"]
    for place in places:
        (place / "files").mkdir(parents=True)
    net = NetNamespace()  # the same interfaces and users for both, and none that changes meanwhile
    mounts = MountNamespace(tmp_path_factory.mktemp("mounts"), MOUNTS)
    prefix = net.enter + mounts.enter + own_run(base, UTMP)
    try:
        with Peer(places[0], cwd=places[0] / "files", prefix=prefix) as theirs, \
                Agent(places[1], "open", cwd=places[1] / "files", prefix=prefix) as mine:
            yield theirs, mine
    finally:
        mounts.close()
        net.close()


def test_enough():
    assert sum(len(steps) for steps in SCENARIOS.values()) >= 650


@pytest.mark.root
def test_every_row_is_used(request):
    """Runs last in this file. A row that no request needs is not a difference any more."""
    if not all(f"test_same[{name}]" in {item.name for item in request.session.items} for name in SCENARIOS):
        pytest.skip("only meaningful after all scenarios")
    ids = [row["id"] for row in ROWS]
    assert len(set(ids)) == len(ids)
    assert not set(ids) - USED
