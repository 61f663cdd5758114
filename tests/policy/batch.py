"""Talks to evalbatch: the real compiler and the real evaluation behind a pipe."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build")).resolve()
PASSWD = "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:\n"
GROUP = "adm:x:4:www\n"


class Batch:
    def __init__(self):
        self.process = subprocess.Popen([BUILD / "tests" / "policy" / "evalbatch"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0

    def send(self, head, body=None):
        self.process.stdin.write(head.encode() + b"\n" + (b"" if body is None else body + b"\n"))

    def line(self):
        line = self.process.stdout.readline()
        assert line, "evalbatch has ended"
        return line.decode().rstrip("\n")

    def compile(self, files):
        """(compiled, findings) for [(name, is a drop-in, text)]."""
        for name, drop_in, text in files:
            data = text.encode()
            self.send(f"file {name} {int(drop_in)} {len(data)}", data)
        self.send(f"passwd {len(PASSWD)}", PASSWD.encode())
        self.send(f"group {len(GROUP)}", GROUP.encode())
        self.send("compile")
        self.process.stdin.flush()
        result, findings = self.line(), []
        while (line := self.line()) != ".":
            findings.append(line)
        return result == "ok", findings

    def dump(self, channel):
        self.send(f"dump {channel}")
        self.process.stdin.flush()
        return self.process.stdout.read(int(self.line())).decode()

    def slice(self, channel):
        self.send(f"slice {channel}")
        self.process.stdin.flush()
        return self.line()

    def decide(self, requests):
        """[(verdict, rule)]; a request is a dict as model.random_request makes it."""
        for request in requests:
            if request["command"] == "guest-file-open":
                path = request["path"].encode()
                self.send(f"open {request['channel']} {request['verbs']} {int(request['found'])} {int(request['regular'])} "
                          f"{request['user'] or '-'} {len(path)}", path)
            elif "exec" in request:
                asked = request["exec"]
                texts = [text.encode() for text in [asked["path"], asked["resolved"], *asked["args"], *asked["env"]]]
                self.send(f"exec {request['channel']} {int(asked['input'])} {len(asked['args'])} {len(asked['env'])} "
                          + " ".join(str(len(text)) for text in texts), b"".join(texts))
            elif "mount" in request:
                mount = request["mount"].encode()
                self.send(f"{request.get('ask', 'mount')} {request['channel']} {request['command']} {len(mount)}", mount)
            elif "listed" in request:
                name = request["listed"].encode()
                self.send(f"name {request['channel']} {request['command']} {len(name)}", name)
            else:
                self.send(f"ask {request['channel']} {request['command']}")
        self.process.stdin.flush()
        return [tuple(self.line().split(" ", 1)) for _ in requests]
