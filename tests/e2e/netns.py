"""A network namespace for a test, with interfaces of every kind that this kernel lets it make.

A process holds it; agents are started into it with the prefix that `enter` gives, and are asked over their unix socket.
"""

import json
import subprocess

SETUP = """
ip link set lo up
ip link add a0 type veth peer name b0
ip link set a0 addrgenmode none
ip link set b0 addrgenmode none
ip link set a0 up
ip link set b0 up
ip addr add 10.1.2.3/24 dev a0
ip addr add 10.1.2.4/25 dev a0 label a0:1
ip -6 addr add 2001:db8::1/64 dev a0 nodad
ip -6 addr add fe80::7/64 dev a0 nodad
ip addr add 192.0.2.1/31 dev b0
ip link add bare type bridge
ip tuntap add dev tun7 mode tun
ip link set tun7 addrgenmode none
ip addr add 10.9.0.1 peer 10.9.0.2/32 dev tun7
ip link set tun7 up
ip route add 198.51.100.0/24 via 10.1.2.9 metric 4000000000 advmss 1000 window 7000 rtt 300
ip route add unreachable 203.0.113.0/24
ip -6 route add 2001:db8:1::/48 via 2001:db8::9 metric 77
"""


class NetNamespace:
    def __init__(self, setup=SETUP):
        script = f"set -e\n{setup}\necho ready\nexec sleep 1000\n"
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        line = self.holder.stdout.readline()
        if line != "ready\n":
            self.close()
            raise RuntimeError("the network namespace could not be set up")

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    @property
    def enter(self):
        """What stands before a command that is to run inside."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def run(self, *command):
        return subprocess.run([*self.enter, *command], check=True, capture_output=True, text=True).stdout

    def ip(self, *arguments):
        return json.loads(self.run("ip", "-j", *arguments))
