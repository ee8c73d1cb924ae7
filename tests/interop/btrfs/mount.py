#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel wrote, seen through a read-only mount; who may mount; what
happens to a mount whose processes end."""
import errno
import os
import signal
import subprocess
import time

import fuse
import kernel
from kernel import RING3, run


def same_as_the_kernel(k, f, options, *mkfs):
    image = k.image("a", 700 << 20, *mkfs)
    root = k.mount(image, options)
    kernel.fill(root)
    kernel.subvolumes(root)
    k.umount()
    root = k.mount(image, "ro")
    want = kernel.kernel_view(root)
    offsets = holes(root + "/sparse") + holes(root + "/punched")
    sub = kernel.kernel_view(root + "/snap2")
    k.umount()
    root = f.mount(image, "--read-only")
    got = kernel.kernel_view(root)
    for path in got:  # a snapshot's stubs have the time of looking
        if path.endswith("/inner") and path != "sv/inner":
            got[path].pop("mtime")
    kernel.compare(want, got, options)
    assert holes(root + "/sparse") + holes(root + "/punched") == offsets
    every_inode_once(root)
    try:
        open(root + "/new", "w")
    except OSError as e:
        assert e.errno == errno.EROFS
    f.unmount()
    for which in ("/snap2", str(subvol_id(image, "snap2"))):
        root = f.mount(image, "--read-only", "--subvol", which)
        got = kernel.kernel_view(root)
        got["inner"].pop("mtime")
        kernel.compare(sub, got, which)
        f.unmount()
    print("ok:", options)


def subvol_id(image, path):
    for line in kernel.ring3("subvolume", "list", image).decode().splitlines():
        words = line.split()
        if words[-1] == path:
            return int(words[0])
    raise AssertionError(path)


def holes(path):
    """Where data and holes begin."""
    found, at = [], 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                try:
                    at = os.lseek(file.fileno(), at, whence)
                except OSError as e:
                    assert e.errno == errno.ENXIO
                    return found + ["end"]
                found.append(at)
    return found


def every_inode_once(root):
    """Programs take files with one number for one file."""
    seen = {}
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if st.st_ino in seen and st.st_nlink == 1:
                raise AssertionError(f"{path} and {seen[st.st_ino]}")
            seen[st.st_ino] = path


def ends(f):
    """By unmount, fusermount3, SIGTERM, SIGKILL; with files open or not."""
    image = f.image("ends", 256 << 20)

    def gone():
        return not fuse.processes(image)

    def mounted(where):
        with open("/proc/self/mountinfo") as m:
            return f" {where} " in m.read()

    for name in ("term server", "term keeper", "fusermount3"):
        where = f.mount(image, "--read-only")
        pids = fuse.processes(image)
        assert len(pids) == 2, pids
        if name == "fusermount3":
            run("fusermount3", "-u", where)
        else:
            os.kill(pids[name == "term server"], signal.SIGTERM)
        fuse.wait(gone)
        assert not mounted(where), name
        f.mounts.remove(where)

    where = f.mount(image, "--read-only")
    fd = os.open(where, os.O_RDONLY)
    os.kill(fuse.processes(image)[0], signal.SIGTERM)
    fuse.wait(lambda: not mounted(where))
    assert len(fuse.processes(image)) == 2 and os.listdir(fd) == []
    os.close(fd)
    fuse.wait(gone)
    f.mounts.remove(where)

    where = f.mount(image, "--read-only")
    os.kill(fuse.processes(image)[1], signal.SIGKILL)
    fuse.wait(gone)
    try:
        os.listdir(where)
        raise AssertionError("a dead mount answers")
    except OSError as e:
        assert e.errno == errno.ENOTCONN, e
    done = subprocess.run([RING3, "btrfs", "info", where],
                          stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"btrfs unmount" in done.stderr, done
    f.unmount()
    assert not mounted(where)
    for _ in range(20):  # who ends late must not take the next one down
        f.mount(image, "--read-only")
        f.unmount()
        f.mount(image, "--read-only")
        time.sleep(0.05)
        assert mounted(where)
        f.unmount()
    print("ok: ends")


def no_rights(f):
    """Each thread of the server has given them up."""
    image = f.image("rights", 256 << 20)
    f.mount(image)
    server = fuse.processes(image)[1]
    tasks = [f"/proc/{server}/task/{task}/status"
             for task in os.listdir(f"/proc/{server}/task")]
    assert len(tasks) == 3, tasks
    for task in tasks:  # each before its first request
        fuse.wait(lambda: "Seccomp:\t2" in open(task).read())
        with open(task) as file:
            status = dict(line.split(":\t", 1) for line in file)
        for name in ("CapEff", "CapPrm", "CapInh", "CapBnd"):
            assert int(status[name], 16) == 0, (task, name, status[name])
        assert status["NoNewPrivs"].strip() == "1", task
        assert status["Seccomp"].strip() == "2", task
    f.unmount()
    print("ok: no rights")


def refused(f):
    image = f.image("refused", 256 << 20)
    where = f.path("mnt")
    os.makedirs(where)

    def fails(why, *args, code=1):
        done = subprocess.run([RING3, "btrfs", *args],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode()
        assert done.returncode == code and why in text, text

    fails("no image is mounted", "unmount", where)
    fails("unknown option", "mount", "-o", "nonsense", image, where)
    fails("No such file", "mount", image, f.path("nowhere"))
    fails("No such file", "mount", f.path("nothing.img"), where)
    fails("x", "mount", "--subvol", "/x", image, where)
    fails("--sync-interval", "mount", "--sync-interval", "0", image, where,
          code=2)
    # one writer, or readers
    f.mount(image)
    fails("in use", "mount", image, where)
    fails("in use", "mount", "--read-only", image, where)
    fails("in use", "mkfs", "--force", image)
    f.unmount()
    f.mount(image, "--read-only")
    f.mount(image, "--read-only", name="mnt2")
    fails("in use", "mount", image, where)
    f.unmount()
    f.unmount()
    print("ok: refused")


USER = """
set -e
cd "$1"
umount -ai -t btrfs,fuse.ring3-btrfs || : # of other tests: not to be kept
mount --bind "$2" /dev/fuse
exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -ec '
	"$1" btrfs mount --read-only fs.img mnt
	ls -l mnt | grep -q "hello"
	test "$(cat mnt/hello)" = hello
	grep -q " $(pwd)/mnt .* fuse.ring3-btrfs " /proc/self/mountinfo
	"$1" btrfs unmount mnt
	! grep -q " $(pwd)/mnt " /proc/self/mountinfo
	"$1" btrfs mount -o ro,noexec,subvol=/ fs.img mnt
	grep -q " $(pwd)/mnt ro,.*noexec.* fuse.ring3-btrfs " /proc/self/mountinfo
	"$1" btrfs unmount mnt
' sh "$3"
"""


def damage(f):
    """A bad block is EIO for who reads it, a line in the log, and no more."""
    tree = f.path("damaged")
    os.makedirs(tree)
    marks = [os.urandom(4096) for _ in range(2)]
    for i, mark in enumerate(marks):
        with open(f"{tree}/{i}", "wb") as file:
            file.write(mark * 20)
    image = f.path("damage.img")
    run(RING3, "btrfs", "mkfs", image, "--rootdir", tree)
    with open(image, "r+b") as file:
        at = file.read().find(marks[0])
        file.seek(at + 3 * 4096)
        file.write(b"oops")
    where = f.path("mnt")
    with open(f.path("log"), "w+") as log:
        job = subprocess.Popen([RING3, "btrfs", "mount", "--foreground",
                                "--read-only", image, where], stderr=log)
        fuse.wait(lambda: os.path.exists(where + "/0"))
        f.mounts.append(where)
        try:
            open(where + "/0", "rb").read()
            raise AssertionError("damaged data was read")
        except OSError as e:
            assert e.errno == errno.EIO, e
        with open(where + "/1", "rb") as file:
            assert file.read() == marks[1] * 20
        job.send_signal(signal.SIGINT)
        assert job.wait(10) == 0
        log.seek(0)
        text = log.read()
    f.mounts.remove(where)
    assert "does not match its checksum" in text, text
    assert not os.listdir(where)
    print("ok: damage")


def without_root(f):
    """In mount namespaces of their own, where /dev/fuse is for everybody, as
    it is on an ordinary system."""
    tree = f.path("tree")
    os.makedirs(tree)
    with open(tree + "/hello", "w") as file:
        file.write("hello")
    where = f.path("user")
    os.makedirs(where + "/mnt")
    run(RING3, "btrfs", "mkfs", where + "/fs.img", "--rootdir", tree)
    for path in (where, where + "/mnt", where + "/fs.img"):
        os.chown(path, 65534, 65534)
    node = f.path("fusenode")
    os.mknod(node, 0o20666, os.makedev(10, 229))
    os.chmod(node, 0o666)
    # what is not readable for others can't be tested there
    copies = f.path("bin")
    copy_programs(copies)
    run("unshare", "-m", "sh", "-ec", USER, "sh", where, node,
        copies + "/ring3")
    print("ok: without root")


def copy_programs(to):
    os.makedirs(to)
    for name in ("ring3", fuse.PROGRAM, "ring3-supervisor"):
        run("cp", os.path.join(kernel.BUILD, name), to)


def main():
    f = fuse.Folder()
    refused(f)
    no_rights(f)
    ends(f)
    damage(f)
    if os.geteuid() == 0:
        without_root(f)
    k = kernel.Kernel()
    same_as_the_kernel(k, f, "noatime")
    same_as_the_kernel(k, f, "noatime,compress-force=zstd", "-n", "4096")
    f.close()
    k.close()


main()
