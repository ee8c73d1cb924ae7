# SPDX-License-Identifier: GPL-2.0-or-later
"""quota.py STEPS - quota numbers that ring3 writes, against the kernel's

STEPS does a step of a script on an image (quota_steps.c).  The numbers
expected are those that Linux 6.18 printed for the same script; where the kernel
gave up counting, those of its rescan.
"""
import errno
import fcntl
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib

import fuse
from kernel import Kernel, RING3, fill, group_numbers, rescan, ring3, run

STEPS = sys.argv[1]
k = Kernel()


def kernel_numbers(root):
    out = run("btrfs", "qgroup", "show", "--raw", root).decode()
    return {m[1]: (int(m[2]), int(m[3])) for m in
            re.finditer(r"^(\d+/\d+)\s+(\d+)\s+(\d+)", out, re.M)}


def report(image):
    """What btrfs check counts, and what is written: {group: (..) * 2}."""
    out = run("btrfs", "check", "--qgroup-report", image).decode()
    found = {}
    for part in out.split("Counts for qgroup id: ")[1:]:
        n = [int(x) for x in re.findall(r"(?:referenced|exclusive) (\d+) ",
                                        part)]
        found[part.split()[0]] = ((n[0], n[2]), (n[1], n[3]))
    return found


def judge(image, what):
    """The kernel takes the image as consistent, and a rescan changes nothing.
    On a copy: a mount writes."""
    ours = group_numbers(image)
    ring3("check", "--qgroups", image)
    found = report(image)
    assert found.keys() == ours.keys(), f"{what}: btrfs check: {found}"
    for group, (counted, written) in found.items():
        assert counted == written == ours[group], \
            f"{what}: btrfs check: {group}: {counted} {written} {ours[group]}"
    copy = k.path("copy.img")
    run("cp", "--sparse=always", image, copy)
    root = k.mount(copy)
    done = subprocess.run(["btrfs", "qgroup", "show", root],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert b"inconsistent" not in done.stdout, f"{what}: {done.stdout}"
    assert kernel_numbers(root) == ours, \
        f"{what}: the kernel read {kernel_numbers(root)}, we wrote {ours}"
    rescan(root)
    assert kernel_numbers(root) == ours, \
        f"{what}: the kernel counts {kernel_numbers(root)}, we {ours}"
    k.umount()
    os.unlink(copy)


def step(image, name, **want):
    env = dict(os.environ, PACKED=k.path("packed"))
    run(STEPS, image, name, env=env)
    groups = group_numbers(image)
    ids = {"A": "0/256", "B": "0/257", "S": "0/258", "T": "0/259",
           "S2": "0/259", "G": "1/1", "P": "1/100", "Q": "2/1",
           "top": "0/5"}
    for who, n in want.items():
        assert groups[ids[who]] == n, \
            f"{name}: {who} is {groups[ids[who]]}, the kernel said {n}"
    return groups


# The script of one source without groups above it, then with.
with open(k.path("packed"), "wb") as f:
    f.write(zlib.compress(bytes(128 << 10)).ljust(4096, b"\0"))
image = k.image("script", 1 << 30)
SCRIPT = [
    ("begin", dict(top=(16384, 16384), A=(1130496, 1130496),
                   B=(540672, 540672))),
    ("snapshot", dict(A=(1130496, 16384), B=(540672, 540672),
                      S=(1130496, 16384))),
    ("overwrite", dict(A=(1392640, 278528), B=(540672, 540672),
                       S=(1130496, 16384))),
    ("clone-f2", dict(A=(1392640, 278528), B=(606208, 540672),
                      S=(1130496, 16384))),
    ("rm-f2", dict(A=(1327104, 278528))),
    ("clone-g", dict(A=(1851392, 278528), B=(606208, 16384),
                     S=(1130496, 16384))),
    ("small", dict(A=(1851392, 278528))),
    ("packed", dict(A=(2015232, 442368))),
    ("prealloc", dict(A=(3063808, 1490944))),
    ("hole", dict(A=(3063808, 1490944))),
    ("group", dict(G=(3063808, 1490944))),
    ("group-s", dict(G=(3145728, 2555904))),
    ("snapshot-t", dict(A=(3063808, 16384), T=(3063808, 16384))),
    ("delete-s", dict(B=(606208, 81920), G=(3080192, 2555904))),
]
for name, want in SCRIPT:
    groups = step(image, name, **want)
    if name in ("snapshot", "clone-g", "group-s", "snapshot-t", "delete-s"):
        judge(image, name)
assert "0/258" not in groups

image = k.image("parents", 1 << 30)
step(image, "parents", A=(1851392, 278528), B=(606208, 16384),
     S=(1130496, 16384), S2=(1130496, 16384), P=(1949696, 835584),
     Q=(1949696, 835584))
judge(image, "parents")

# What the kernel leaves inconsistent is exact after our next commit.
root = k.mount(image)
run("btrfs", "subvolume", "snapshot", f"{root}/A", f"{root}/late")
run("dd", "if=/dev/urandom", f"of={root}/late/more", "bs=1M", "count=3")
k.umount()
stale = json.loads(ring3("quota", "status", "--json", image))
assert stale["stale"], stale
shutil.copyfile(image, k.path("stale.img"))
ring3("mkdir", image, "/new")
assert not json.loads(ring3("quota", "status", "--json", image))["stale"]
judge(image, "after the kernel gave up")
ring3("quota", "rescan", k.path("stale.img"))
judge(k.path("stale.img"), "rescan")

# And the kernel goes on from ours: its own counting meets a rescan's.
root = k.mount(image)
with open(f"{root}/A/f1", "r+b") as f:
    f.seek(512 << 10)
    f.write(os.urandom(128 << 10))
run("cp", "--reflink=always", f"{root}/A/f1", f"{root}/B/f1")
os.unlink(f"{root}/S/f2")
run("btrfs", "filesystem", "sync", root)
before = kernel_numbers(root)
rescan(root)
assert kernel_numbers(root) == before
k.umount()
assert group_numbers(image) == before

# A subvolume that is being deleted counts until it is gone: we begin with it,
# the kernel ends it.
image = k.image("dying", 512 << 20)
root = k.mount(image)
run("btrfs", "subvolume", "create", f"{root}/A")
fill(f"{root}/A", 3)
run("btrfs", "subvolume", "snapshot", f"{root}/A", f"{root}/S")
fill(f"{root}/S/more", 4)
for i in range(0, 300, 3):
    with open(f"{root}/A/many/{i % 7}/file{i:04d}", "ab") as f:
        f.write(bytes(5000))
k.umount()
ring3("quota", "enable", image)
ring3("subvolume", "delete", "--no-clean", image, "S")
for blocks in (1, 3, 9, 20):
    ring3("subvolume", "clean", "--blocks", str(blocks), image)
    assert "0/257" in group_numbers(image), "cleaned too soon for this test"
    # not btrfs check: it counts what S's blocks before drop_progress lead to
    ring3("check", "--qgroups", image)
root = k.mount(image)
run("btrfs", "subvolume", "sync", root)
run("btrfs", "filesystem", "sync", root)
before = kernel_numbers(root)
rescan(root)
assert kernel_numbers(root) == before, \
    f"the kernel went on to {before}, and counts {kernel_numbers(root)}"
k.umount()

image = k.path("parents.img")
# Groups from the command line; what people get wrong has a text.
ring3("qgroup", "create", image, "3/7")
ring3("qgroup", "assign", image, "2/1", "3/7")
ring3("qgroup", "limit", image, "3/7", "64M")
ring3("qgroup", "limit", "-e", image, "/B", "5M")
shown = {g["qgroup"]: g for g in map(json.loads, ring3(
    "qgroup", "show", "--json", image).splitlines())}
assert shown["3/7"]["max_referenced"] == 64 << 20
assert shown["3/7"]["children"] == ["2/1"]
assert shown["0/257"]["max_exclusive"] == 5 << 20
assert shown["0/257"]["max_referenced"] is None
assert shown["0/257"]["path"] == "B"
assert b"2/1" in ring3("qgroup", "show", "-p", "-c", image)
root = k.mount(image)
out = run("btrfs", "qgroup", "show", "-re", "--raw", root).decode()
assert re.search(r"^3/7\s.*\b67108864\b", out, re.M), out
assert re.search(r"^0/257\s.*\b5242880\b", out, re.M), out
k.umount()
judge(image, "groups by hand")
for args, code, text in [
        (("create", image, "0/9"), 1, "level 0"),
        (("create", image, "3/7"), 1, "already"),
        (("destroy", image, "3/7"), 1, "members"),
        (("destroy", image, "0/256"), 1, "subvolume"),
        (("destroy", image, "4/4"), 1, "no quota group"),
        (("assign", image, "3/7", "1/100"), 1, "level"),
        (("assign", image, "2/1", "3/7"), 1, "already"),
        (("remove", image, "2/1", "1/100"), 1, "not in"),
        (("limit", image, "3/7", "much"), 2, "no size"),
        (("limit", image, "none/such", "1M"), 2, "no quota group")]:
    done = subprocess.run([RING3, "btrfs", "qgroup", *args],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == code and text in done.stderr, (args, done)
ring3("qgroup", "remove", image, "2/1", "3/7")
ring3("qgroup", "destroy", image, "3/7")
ring3("qgroup", "limit", "-e", image, "0/257", "none")
judge(image, "groups gone")
ring3("quota", "disable", image)
run("btrfs", "check", image)
done = subprocess.run([RING3, "btrfs", "qgroup", "show", image],
                      stderr=subprocess.PIPE, text=True)
assert done.returncode == 1 and "off" in done.stderr, done
root = k.mount(image)
run("btrfs", "quota", "enable", root)
rescan(root)
k.umount()
judge(image, "the kernel turned them on again")

# A full group: what the kernel refuses there we refuse, through a mount.  But
# a file may become shorter, as that frees.
def tries(root):
    a = root + "/A/"
    changes = {
        "chmod": lambda: os.chmod(a + "1", 0o600),
        "chown": lambda: os.chown(a + "1", 1, 1),
        "times": lambda: os.utime(a + "1", (1, 1)),
        "rename": lambda: os.rename(a + "2", a + "two"),
        "replace": lambda: os.rename(a + "3", a + "4"),
        "longer": lambda: os.truncate(a + "5", 20000),
        "link": lambda: os.link(a + "6", a + "six"),
        "mkdir": lambda: os.mkdir(a + "seven"),
        "xattr": lambda: os.setxattr(a + "8", "user.a", b"v"),
        "shorter": lambda: os.truncate(a + "9", 0),
        "unlink": lambda: os.unlink(a + "10"),
    }
    found = {}
    for name, change in changes.items():
        try:
            change()
            found[name] = 0
        except OSError as e:
            found[name] = e.errno
        os.sync()  # what is freed counts from the next commit on
    return found


def full_group():
    fuse.need()
    f = fuse.Folder()
    image = k.image("full", 512 << 20)
    root = k.mount(image)
    run("btrfs", "quota", "enable", root)
    rescan(root)
    run("btrfs", "subvolume", "create", f"{root}/A")
    for i in range(100):
        with open(f"{root}/A/{i}", "wb") as file:
            file.write(os.urandom(8192 if i % 2 else 300))
    run("btrfs", "filesystem", "sync", root)
    used = kernel_numbers(root)["0/256"][0]
    k.umount()
    for room, full in ((0, True), (1 << 20, False), (-4096, True)):
        ours, theirs = f.path("ours.img"), f.path("theirs.img")
        ring3("qgroup", "limit", image, "0/256", str(used + room))
        for copy in (ours, theirs):
            run("cp", "--sparse=always", image, copy)
        want = tries(k.mount(theirs))
        k.umount()
        assert want.pop("shorter") == (errno.EDQUOT if full else 0)
        got = tries(f.mount(ours))
        f.unmount()
        assert got.pop("shorter") == 0
        assert got == want, (room, got, want)
        assert want["rename"] == (errno.EDQUOT if full else 0)
        assert want["unlink"] == 0
        judge(ours, f"{room} bytes left")
    f.close()


if os.path.exists("/dev/fuse"):
    full_group()

# Simple quotas charge in another way: refused by name.  By ioctl, as older
# btrfs-progs can't; cmd 4 is BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA.
image = k.image("simple", 256 << 20)
root = k.mount(image)
fd = os.open(root, os.O_RDONLY)
try:
    fcntl.ioctl(fd, 0xc0109428, struct.pack("QQ", 4, 0))
    simple = True
except OSError:
    simple = False
os.close(fd)
k.umount()
if simple:
    state = json.loads(ring3("quota", "status", "--json", image))
    assert state["mode"] == "simple", state
    done = subprocess.run([RING3, "btrfs", "mkdir", image, "/x"],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "simple quotas" in done.stderr, done
else:
    print("this kernel knows no simple quotas: not tried")

assert not k.new_complaints(), k.new_complaints()
k.close()
print("ok")
