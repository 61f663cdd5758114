"""An agent that is played: the extension commands of exec over a unix socket, one client at a time, with real programs
behind them. For what the real agent does not do on demand: take nothing, tell nonsense, vanish in the middle."""

import base64
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import threading

BAD_PID = {"error": {"class": "GenericError", "desc": "no execution of this number (BH1109)"}}
PIECE = 1 << 20  # bytes that an answer has of each stream


class Execution:
    def __init__(self, arguments):
        merged, self.asked = arguments.get("output") == "merged", arguments
        self.process = subprocess.Popen(
            [arguments["path"], *arguments.get("arg", [])], stdin=subprocess.PIPE if arguments.get("input") else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT if merged else subprocess.PIPE, bufsize=0, start_new_session=True,
            env=dict(pair.split("=", 1) for pair in arguments["env"]) if "env" in arguments else None)
        self.out = {"out-data": self.process.stdout, "err-data": self.process.stderr}
        for file in [self.process.stdin, *self.out.values()]:
            if file:
                fcntl.fcntl(file, fcntl.F_SETFL, os.O_NONBLOCK)

    def read(self, wait):
        value = {}
        open_files = [file for file in self.out.values() if file]
        if open_files:
            select.select(open_files, [], [], wait / 1000)
        elif wait:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(wait / 1000)
        for name, file in list(self.out.items()):
            data = b""
            while file and len(data) < PIECE:
                try:
                    piece = os.read(file.fileno(), 65536)
                except BlockingIOError:
                    break
                data += piece
                if not piece:
                    self.out[name] = file = None
            if data:
                value[name] = base64.b64encode(data).decode()
        over = not any(self.out.values()) and self.process.poll() is not None
        if over:
            status = self.process.returncode
            value.update({"signal": -status} if status < 0 else {"exitcode": status})
        return {"exited": over, **value}, over

    def write(self, data, eof, most):
        count = 0
        with contextlib.suppress(BlockingIOError):
            count = os.write(self.process.stdin.fileno(), data[:most]) if data[:most] else 0
        if eof and count == len(data):
            self.process.stdin.close()
        return count

    def signal(self, word):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, getattr(signal, "SIG" + word.upper()))


class Player:
    """`play(request)` may answer itself: a reply, HANG_UP, or None: as a good agent would."""

    HANG_UP = object()

    def __init__(self, path, play=None, most=65536):
        self.path, self.play, self.most = path, play or (lambda request: None), most
        self.requests, self.connections, self.executions, self.numbers = [], 0, {}, 4
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(10)
        for execution in self.executions.values():
            execution.signal("kill")
            execution.process.wait()

    def named(self, command):
        return [request["arguments"] for request in self.requests if request["execute"] == command]

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            with client, client.makefile("rb") as lines, contextlib.suppress(OSError):
                for line in lines:
                    request = json.loads(line.lstrip(b"\xff"))
                    self.requests.append(request)
                    reply = self.play(request) or self.answer(request)
                    if reply is self.HANG_UP:
                        break
                    mark = b"\xff" if request["execute"] == "guest-sync-delimited" else b""
                    client.sendall(mark + json.dumps(reply).encode() + b"\n")

    def answer(self, request):
        name, given = request["execute"], request.get("arguments", {})
        if name.startswith("guest-sync"):
            return {"return": given["id"]}
        if name == "bulkhead-exec":
            try:
                execution = Execution(given)
            except OSError as error:
                return {"error": {"class": "GenericError", "desc": f"{given['path']}: {error.strerror}"}}
            self.numbers += 2
            self.executions[self.numbers] = execution
            return {"return": {"pid": self.numbers}}
        execution = self.executions.get(given["pid"])
        if not execution:
            return BAD_PID
        if name == "bulkhead-exec-read":
            value, over = execution.read(given.get("wait", 0))
            if over:
                del self.executions[given["pid"]]
            return {"return": value}
        if name == "bulkhead-exec-write":
            try:
                return {"return": {"count": execution.write(base64.b64decode(given.get("stdin-b64", "")), given.get("eof"), self.most)}}
            except OSError as error:
                return {"error": {"class": "GenericError", "desc": f"{error.strerror}"}}
        execution.signal(given.get("signal", "term"))
        return {"return": {}}
