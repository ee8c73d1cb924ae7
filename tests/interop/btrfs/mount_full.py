#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount whose image lies where there is no room any more: who writes learns
that it is full, 'info' and 'unmount' tell why and what to do, and that helps;
what was synced is there."""
import errno
import json
import os
import subprocess
import sys

import fuse
import kernel
from kernel import RING3, run

WHERE = b"no space left where the image lies"


def small_place(f):
    """In this process's own mount namespace."""
    where = f.path("small")
    os.mkdir(where)
    run("mount", "-t", "tmpfs", "-o", "size=20m", "small", where)
    return where


def info(where):
    done = subprocess.run([RING3, "btrfs", "info", "--json", where],
                          stdout=subprocess.PIPE)
    return done.returncode, json.loads(done.stdout)["stopped"]


def fill(where):
    """The errors of write or fsync; then, when a commit has failed as well, of
    what comes later."""
    data = os.urandom(1 << 20)
    with open(where + "/big", "wb", buffering=0) as file:
        try:
            for _ in range(60):
                file.write(data)
            os.fsync(file.fileno())
        except OSError as e:
            first = e.errno
        else:
            raise AssertionError("60 MiB fit into 20")
    fuse.wait(lambda: info(where)[0])
    try:
        os.mkdir(where + "/later")
    except OSError as e:
        return first, e.errno
    return first, 0


def full(f, place, foreground):
    image, where = place + "/a.img", f.path("mnt")
    run(RING3, "btrfs", "mkfs", "--force", "--size", "300M", image)
    os.makedirs(where, exist_ok=True)
    job = subprocess.Popen([RING3, "btrfs", "mount", image, where] +
                           ["--foreground"] * foreground,
                           stderr=subprocess.PIPE)
    if not foreground:
        assert job.wait(20) == 0, job.communicate()
    fuse.wait(lambda: os.path.ismount(where))
    f.mounts.append(where)
    assert info(where) == (0, None)
    with open(where + "/kept", "w") as file:
        file.write("kept")
        file.flush()
        os.fsync(file.fileno())
    got = fill(where)
    assert got == (errno.ENOSPC, errno.EROFS), got
    code, why = info(where)
    assert code == 1 and WHERE.decode() in why and "Make room" in why, why
    done = subprocess.run([RING3, "btrfs", "unmount", where],
                          stderr=subprocess.PIPE)
    f.mounts.remove(where)
    assert done.returncode == 1 and WHERE in done.stderr, done
    if foreground:
        assert job.wait(20) == 1
        assert WHERE in job.stderr.read()
    job.stderr.close()
    # as it says: room, and mounted again
    run("mount", "-o", "remount,size=200m", place)
    assert f.mount(image) == where
    assert sorted(os.listdir(where)) in (["kept"], ["big", "kept"])
    with open(where + "/kept") as file:
        assert file.read() == "kept"
    with open(where + "/big", "wb") as file:
        file.write(os.urandom(60 << 20))
        os.fsync(file.fileno())
    assert info(where) == (0, None)
    f.unmount()
    run("btrfs", "check", "--check-data-csum", image)
    os.unlink(image)
    run("mount", "-o", "remount,size=20m", place)


def main():
    if os.geteuid():
        kernel.skip("only root has a small place of its own")
    if sys.argv[1:] != ["inside"]:
        os.execvp("unshare", ["unshare", "-m", sys.executable, __file__,
                              "inside"])
    f = fuse.Folder()
    place = small_place(f)
    for foreground in (True, False):
        full(f, place, foreground)
    run("umount", place)
    f.close()


main()
