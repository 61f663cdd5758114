"""What a guest boots: Debian's cloud kernel, unpacked, and an initramfs made here of busybox, a few modules and our build.

The kernel is downloaded once and lies in the cache ($BULKHEAD_VM_CACHE, else vm/ of the build folder); it is never
installed on this machine. A step that fails leaves nothing behind in the cache. The initramfs is made per guest: it
takes a tenth of a second and so it cannot be stale.
"""

import contextlib
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

from harness import BUILD

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("BULKHEAD_VM_CACHE") or BUILD / "vm").resolve()
KERNEL_PACKAGE = "linux-image-cloud-amd64"
DISK_KERNEL_PACKAGE = "linux-image-amd64"  # the other knows no SATA and no USB
MODULES = ["virtio_pci", "virtio_console", "vsock_loopback"]
# What a guest with disks loads when it is up: the other guests need not wait for it.
DISK_MODULES = ["virtio_blk", "virtio_scsi", "sd_mod", "ahci", "ata_piix", "nvme", "xhci_pci", "usb_storage", "loop", "dm_mod",
                "crc32c_generic", "cryptomgr", "aes_generic", "ecb", "xts", "dm_crypt", "raid1", "ext4", "xfs", "btrfs",
                "nls_cp437", "nls_ascii", "vfat", "overlay"]
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "lz4": "lz4", "strip": "binutils"}
PROGRAMS = ["bulkhead", "bulkhead-audit", "bulkhead-exec", "bulkhead-front", "bulkhead-fs", "bulkhead-info", "bulkhead-opener",
            "bulkhead-hook", "bulkhead-policyc", "bulkhead-smart", "bulkhead-spawn", "bulkhead-spool", "bulkhead-storage", "bulkhead-thaw", "bulkheadctl"]
FILES = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n",
         "etc/group": "root:x:0:\nalice:x:1000:\n",
         "etc/hostname": "guest\n",
         "etc/os-release": 'NAME="Test guest"\nID=testguest\nVERSION_ID="1"\nPRETTY_NAME="Test guest 1"\n'}
FOLDERS = ["bin", "dev", "etc", "lib", "lib64", "modules", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/lib",
           "var/log", "var/run", "new"]


class Missing(Exception):
    """Something that a guest needs cannot be had on this machine; the text says what."""


def progress(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def check_tools():
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        raise Missing(f"packages are missing: as root, apt-get install {' '.join(missing)}")


def output(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout


# The kernel.

def kernel(disks=False):
    """The folder with vmlinux and modules/, made at the first call on this machine; the one for disks by its modules."""
    folder = CACHE / ("kernel" if not disks else f"kernel-{hashlib.sha256(' '.join(DISK_MODULES).encode()).hexdigest()[:8]}")
    if not folder.exists():
        check_tools()
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as scratch:
            scratch = pathlib.Path(scratch)
            try:
                fetch_kernel(scratch, disks)
            except subprocess.CalledProcessError as error:
                said = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
                raise Missing(f"no kernel for guests: {' '.join(error.cmd)} failed: {' '.join(said)}") from None
            with contextlib.suppress(OSError):  # somebody else was quicker: theirs is as good
                (scratch / "kernel").rename(folder)
        assert folder.exists(), f"{folder} could not be made"
    return folder


def fetch_kernel(scratch, disks):
    package = kernel_package(DISK_KERNEL_PACKAGE if disks else KERNEL_PACKAGE)
    progress(f"downloading {package}")
    output("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=scratch)
    output("dpkg-deb", "-x", str(next(scratch.glob("*.deb"))), str(scratch / "tree"))
    progress("unpacking the kernel")
    made = scratch / "kernel"
    (made / "modules").mkdir(parents=True)
    unpack_vmlinux(next((scratch / "tree/boot").glob("vmlinuz-*")), made / "vmlinux")
    found = {path.stem.replace("-", "_"): path for path in (scratch / "tree/lib/modules").rglob("*.ko")}
    first = module_order(found, MODULES)
    rest = [name for name in module_order(found, DISK_MODULES if disks else []) if name not in first]
    for name in first + rest:
        shutil.copy(found[name], made / "modules")
    for file, order in (("order", first), ("disk-order", rest)):
        (made / "modules" / file).write_text("".join(f"{found[name].name}\n" for name in order))


def kernel_package(meta):
    """The package that the meta package stands for; its list of packages is fetched if there is none."""
    command = ["apt-cache", "depends", meta]
    try:
        text = output(*command)
    except subprocess.CalledProcessError:
        progress("updating apt's lists")
        output("apt-get", "update", "-q")
        text = output(*command)
    return re.search(r"Depends: (linux-image-\S+)", text.decode())[1]


def unpack_vmlinux(vmlinuz, target):
    """Decompression is what takes long in an emulated machine, so it is done here. The boot protocol says where."""
    image = vmlinuz.read_bytes()
    start = (image[0x1f1] + 1) * 512 + struct.unpack_from("<I", image, 0x248)[0]
    length = struct.unpack_from("<I", image, 0x24c)[0]
    payload = image[start:start + length - 4]  # the last four bytes are the unpacked length
    if payload[:6] == b"\xfd7zXZ\0":
        target.write_bytes(lzma.LZMADecompressor().decompress(payload))
        return
    assert payload[:4] == b"\x02\x21\x4c\x18", f"{vmlinuz} is packed in a new format: teach it to this function"
    target.write_bytes(output("lz4", "-d", "-c", "-", input=payload))


def module_order(found, wanted):
    """What they need, each after what it needs itself. The modules say it: there is no depmod here. One that is not
    there is built into this kernel, or it has none."""
    order = []

    def add(name):
        if name in order or name not in found:
            return
        needs = re.search(rb"\0depends=([^\0]*)\0", b"\0" + found[name].read_bytes())[1].decode()
        for need in filter(None, needs.split(",")):
            add(need.replace("-", "_"))
        order.append(name)

    for name in wanted:
        add(name)
    return order


# The initramfs: an archive in cpio's "newc" format.

class Archive:
    def __init__(self):
        self.parts, self.folders, self.number = [], set(), 0

    def entry(self, name, mode, data=b""):
        self.number += 1
        path = name.encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def folder(self, name):
        if name in self.folders or name in ("", "."):
            return
        self.folder(os.path.dirname(name))
        self.folders.add(name)
        self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self.folder(os.path.dirname(name))
        self.entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self, path):
        self.entry("TRAILER!!!", 0)
        path.write_bytes(b"".join(self.parts))


def libraries(program):
    """The shared libraries of a program, by the paths that its dynamic linker finds them at."""
    return re.findall(r"(/\S+) \(0x", output("ldd", str(program)).decode())


def stripped(program):
    """Its bytes without debugging information: the guest unpacks them into memory, byte by byte."""
    with tempfile.NamedTemporaryFile() as copy:
        output("strip", "-o", copy.name, str(program))
        return pathlib.Path(copy.name).read_bytes()


def initramfs(target, programs, files, disks):
    """With `disks`, for the kernel that knows them. `programs` are paths on this machine and go to /usr/bin, with the libraries that they need; `files` is {name: text}."""
    made, modules = Archive(), kernel(disks) / "modules"
    for name in FOLDERS:
        made.folder(name)
    made.file("init", (HERE / "init").read_bytes(), 0o755)
    made.file("bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes(), 0o755)
    made.link("bin/sh", "busybox")
    for path in modules.iterdir():
        made.file(f"modules/{path.name}", path.read_bytes())
    for path in map(pathlib.Path, programs):
        made.file(f"usr/bin/{path.name}", stripped(path), 0o755)
    for name in sorted({name for path in programs for name in libraries(path)}):
        made.file(name.lstrip("/"), pathlib.Path(name).read_bytes(), 0o755)
    for name, text in {**FILES, **files}.items():
        made.file(name, text.encode())
    made.finish(target)
