"""From power on to the first answer, with the agent started by the guest itself, as a distribution would."""

import pytest

from guest import PORT
from inside import HOME

START = f"mkdir -p {HOME}; exec bulkhead --policy standard -m virtio-serial -t {HOME} >{HOME}/log 2>&1"


@pytest.mark.parametrize("links", [False, True], ids=["found by name in sysfs", "found by udev's link"])
def test_answers_at_boot(boots, links):
    """The host asks before the guest is up, and is answered when it is."""
    with boots(start=START, links=links) as guest, guest.client(60) as client:
        client.sync()
        assert client.ok("guest-get-host-name") == {"host-name": "guest"}
        guest.qmp.event("VSERPORT_CHANGE", id="agent", open=True)
        there = guest.shell(f"ls /dev/virtio-ports/{PORT}", check=False).status == 0
        assert there == links
        assert PORT in guest.shell(f"cat {HOME}/log")
