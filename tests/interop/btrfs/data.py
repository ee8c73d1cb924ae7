#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""File data that ring3 wrote: the kernel reads the same bytes, finds the same
holes as after the same calls of its own, scrubs clean and writes on; so does
ring3 then.  And trees that "put" copied in, and reflinks."""
import errno
import fcntl
import json
import os
import shutil
import struct
import subprocess

import kernel
from kernel import BUILD, ring3, run

TEST = os.path.join(BUILD, "tests/unit/btrfs/test_btrfs_data")
FICLONERANGE = 0x4020940D
FILES = "abcd"
# name, mkfs.btrfs, seed, compression of ours
ROWS = [
    ("plain", [], 11, 0),
    ("hole items, plain", ["-O", "^no-holes"], 12, 0),
    ("4K nodes, blake2, zstd", ["-n", "4096", "--csum", "blake2"], 13, 3),
    ("64K nodes, zlib", ["-n", "65536", "--csum", "xxhash"], 14, 1),
    ("hole items, sha256, lzo", ["-O", "^no-holes", "--csum", "sha256"],
     15, 2),
]


def check(image):
    run("btrfs", "check", "--check-data-csum", image)
    ring3("check", "--data", image)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def segments(path):
    """Where data is, as SEEK_DATA and SEEK_HOLE tell."""
    out, at = [], 0
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    try:
        while at < size:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
            out.append((start, at))
    except OSError as err:
        assert err.errno == errno.ENXIO, err
    os.close(fd)
    return out


def sectors(pieces):
    return {at for a, b in pieces for at in range(a, b, 4096)}


def compare_holes(got, want, data, what):
    """The same; but where a file ended in a hole and then grew, the kernel
    writes that sector, zeros, and ring3 leaves the hole."""
    extra = sectors(want) - sectors(got)
    assert not sectors(got) - sectors(want), (what, got, want)
    for at in extra:
        assert not any(data[at:at + 4096]), (what, at)
    assert len(extra) <= 8, (what, got, want)


def libc_fallocate(path, mode, off, length):
    args = ["-o", str(off), "-l", str(length)]
    args += {0: [], 1: ["-n"], 3: ["-p"], 16: ["-z"], 17: ["-z", "-n"]}[mode]
    run("fallocate", *args, path)


def replay(root, out):
    """The calls that ring3 took, on a mount."""
    fds = {}
    for name in FILES:
        path = os.path.join(root, name)
        open(path, "wb").close()
        if name == "d":
            run("chattr", "+C", path)
        fds[name] = os.open(path, os.O_RDWR)
    with open(os.path.join(out, "ops")) as ops, \
            open(os.path.join(out, "blob"), "rb") as blob:
        for line in ops:
            op, name, *rest = line.split()
            a, b, c = (int(n) for n in rest[:3])
            if op == "write":
                assert os.pwrite(fds[name], blob.read(b), a) == b
            elif op == "truncate":
                os.truncate(fds[name], a)
            elif op == "fallocate":
                libc_fallocate(os.path.join(root, name), c, a, b)
            elif op == "clone":
                fcntl.ioctl(fds[name], FICLONERANGE,
                            struct.pack("<qQQQ", fds[rest[3]], c, b, a))
    for fd in fds.values():
        os.close(fd)


def same(root, out, what):
    for name in FILES:
        want = content(os.path.join(out, name))
        assert content(os.path.join(root, name)) == want, (what, name)
    for name in os.listdir(out):
        if name.startswith("snap"):
            path = os.path.join(root, name, "a")
            assert content(path) == content(os.path.join(out, name)), \
                (what, name)


def kernel_writes(root, out):
    """The kernel changes what we made, and keeps the model up to date."""
    blob = os.urandom(300000)
    for i, name in enumerate(FILES):
        for path in (os.path.join(root, name), os.path.join(out, name)):
            with open(path, "r+b") as f:
                for at in range(i * 1000, 1 << 20, 150000):
                    f.seek(at)
                    f.write(blob[:5000 + at % 7777])
                f.truncate(900000 + i)
    run("btrfs", "filesystem", "sync", root)


def model_row(k, name, options, seed, compression):
    image = k.image("model", 512 << 20, *options)
    out = k.path("out")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    done = subprocess.run([TEST, image, out, str(seed), str(compression)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert not done.returncode, done.stdout.decode()
    check(image)
    other = k.image("replayed", 512 << 20, *options)
    root = k.mount(other)
    replay(root, out)
    run("btrfs", "filesystem", "sync", root)
    for f in FILES:
        assert content(os.path.join(root, f)) == \
            content(os.path.join(out, f)), ("replayed", f)
    want = {f: segments(os.path.join(root, f)) for f in FILES}
    k.umount()
    root = k.mount(image)
    same(root, out, name)
    for f in FILES:
        compare_holes(segments(os.path.join(root, f)), want[f],
                      content(os.path.join(out, f)), (name, f))
    assert b"no errors found" in run("btrfs", "scrub", "start", "-B", root)
    kernel_writes(root, out)
    k.umount()
    check(image)
    for f in FILES:
        assert ring3("cat", image, f) == content(os.path.join(out, f)), f
    print("ok:", name)


def put_tree(k, source, want):
    image = k.path("put.img")
    for options in ([], ["--compress", "zstd:3"]):
        if os.path.exists(image):
            os.unlink(image)
        ring3("mkfs", "--size", "900M", image)
        ring3("put", "-r", *options, image, source + "/.", "/")
        check(image)
        root = k.mount(image)
        kernel.compare(want, kernel.kernel_view(root), "put: kernel's view")
        assert b"no errors found" in run("btrfs", "scrub", "start", "-B",
                                         root)
        assert segments(f"{root}/sparse") == segments(f"{source}/sparse")
        with open(f"{root}/text", "ab") as f:
            f.write(b"kernel")
        k.umount()
        # once more over it: files anew, directories filled
        ring3("put", "-r", *options, image, source, "/again")
        ring3("put", "-r", *options, image, source + "/.", "/")
        check(image)
        root = k.mount(image, "ro")
        kernel.compare(want, kernel.kernel_view(f"{root}/again"), "again")
        k.umount()
    print("ok: put")


def put_parts(k):
    image = k.path("put.img")
    os.unlink(image)
    ring3("mkfs", "--size", "400M", image)
    data = os.urandom(20 << 20)
    run(kernel.RING3, "btrfs", "put", image, "-", "/stdin", input=data)
    assert ring3("cat", image, "/stdin") == data
    ring3("reflink", image, "/stdin", "/copy")
    ring3("reflink", "--range", "1M:2M:64K", image, "/stdin", "/part")
    check(image)
    info = json.loads(ring3("info", "--json", image))
    assert info["bytes_used"] < 22 << 20, info["bytes_used"]
    root = k.mount(image)
    assert content(f"{root}/copy") == data
    assert content(f"{root}/part") == bytes(65536) + data[1 << 20:3 << 20]
    k.umount()
    big = k.path("toobig")
    with open(big, "wb") as f:
        f.write(os.urandom(64 << 20) * 8)
    before = content_sum(image)
    for args, why in (
            (["put", image, big, "/big"], b"space"),
            (["put", image, k.path("none"), "/x"], b"No such file"),
            (["put", image, os.path.dirname(big), "/x"], b"--recursive"),
            (["put", image, big, big, "/x"], b"No such file"),
            (["reflink", image, "/stdin", "/stdin"], b"same file"),
            (["reflink", "--range", "5:10", image, "/stdin", "/part"],
             b"multiples")):
        done = subprocess.run([kernel.RING3, "btrfs", *args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 1 and why in done.stderr, (args, done)
    os.unlink(big)
    check(image)
    assert content_sum(image) == before, "a failure changed something"
    print("ok: stdin, reflinks, refusals")


def content_sum(image):
    return {line for line in ring3("ls", "-R", "--json", image).splitlines()}


def put_longest(k):
    """As long as a file can be: its last sector, or the hole at its end, ends a
    byte behind what fits into off_t."""
    longest = (1 << 63) - 1
    for features in ("no-holes", "^no-holes"):
        image = k.image("longest", 256 << 20, "-O", features)
        root = k.mount(image)
        run("btrfs", "subvolume", "create", f"{root}/v")
        for name in ("data", "hole"):
            with open(f"{root}/v/{name}", "wb") as f:
                f.write(b"begin")
                os.truncate(f.fileno(), longest)
                if name == "data":
                    os.pwrite(f.fileno(), b"end", longest - 3)
        run("btrfs", "property", "set", f"{root}/v", "ro", "true")
        k.umount()
        ring3("check", "--data", image)
        stream = k.path("stream")
        ring3("send", "--output", stream, image, "/v")
        target = k.image("target", 256 << 20, "-O", features)
        ring3("receive", "--file", stream, target)
        check(target)
        root = k.mount(target)
        for name in ("data", "hole"):
            assert os.path.getsize(f"{root}/v/{name}") == longest
        with open(f"{root}/v/data", "rb") as f:
            assert os.pread(f.fileno(), 9, longest - 9) == b"\0" * 6 + b"end"
        k.umount()
    print("ok: files as long as can be")


def main():
    k = kernel.Kernel()
    for row in ROWS:
        model_row(k, *row)
    source = k.mount(k.image("source", 512 << 20), name="source")
    kernel.fill(source, seed=7, scale=0.5)
    want = kernel.kernel_view(source)
    put_tree(k, source, want)
    put_parts(k)
    put_longest(k)
    assert not k.new_complaints(), "\n".join(k.new_complaints())


main()
