#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 btrfs send --output FILE: what is there stays until the stream is
whole; afterwards FILE is the stream, with the mode it had.  The stream itself
is compared with the one that standard output gets."""
import os
import resource
import signal
import stat
import subprocess
import tempfile
import threading
import time

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(os.path.abspath(BUILD), "ring3")
OLD = b"what was there\n"
MIB = 1 << 20


def small_files():
    """As on a full disk: no file becomes larger than a MiB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))


def btrfs(*args, code=0, **more):
    done = subprocess.run([RING3, "btrfs", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          timeout=50, **more)
    assert done.returncode == code, (args, done)
    return done.stdout if code == 0 else done.stderr


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


class Folder:
    """An image with a subvolume to send, one that is not read-only, and one
    with a bad block at its end; a folder for what is written."""

    def __init__(self, folder):
        tree = folder + "/tree"
        for name in ("ro", "rw", "bad"):
            os.makedirs(f"{tree}/{name}")
            write(f"{tree}/{name}/file", os.urandom(4 * MIB))
        end = read(tree + "/bad/file")[-4096:]
        self.image = folder + "/image"
        btrfs("mkfs", "--rootdir", tree, "--subvol", "ro:ro", "--subvol",
              "rw", "--subvol", "ro:bad", self.image)
        with open(self.image, "r+b") as f:
            f.seek(f.read().find(end) + 100)
            f.write(b"oops")
        self.want = btrfs("send", self.image, "/ro")
        self.out = folder + "/out"
        os.mkdir(self.out)

    def path(self, name):
        return f"{self.out}/{name}"

    def send(self, to, *what, **more):
        return btrfs("send", "-o", self.path(to), self.image,
                     *(what or ["/ro"]), **more)

    def there(self, *names):
        assert sorted(os.listdir(self.out)) == sorted(names), \
            os.listdir(self.out)


# Cannot start; or ends in the middle.
REFUSED = (
    (["/rw"], b"not read-only", {}),
    (["/none"], b"No such file", {}),
    (["/"], b"read-only snapshot", {}),
    (["-p", "/none", "/ro"], b"No such file", {}),
    (["-p", "/rw", "/ro"], b"not read-only", {}),
    (["-c", "/rw", "/ro"], b"not read-only", {}),
    (["--proto", "1", "--compressed", "/ro"], b"version 2", {}),
    (["/bad"], b"checksum", {}),
    (["/ro"], b"File too large", {"preexec_fn": small_files}),
)


def refused(f):
    for what, why, more in REFUSED:
        err = f.send("new", *what, code=1, **more)
        assert why in err, (what, err)
        f.there()
        write(f.path("old"), OLD, 0o640)
        f.send("old", *what, code=1, **more)
        assert read(f.path("old")) == OLD, what
        f.there("old")
        os.unlink(f.path("old"))
        # written where it is: as it was, or nothing that looks like a stream
        write(f.path("target"), OLD)
        os.symlink("target", f.path("link"))
        f.send("link", *what, code=1, **more)
        middle = why in (b"checksum", b"File too large")
        assert read(f.path("target")) == (b"" if middle else OLD), what
        f.there("link", "target")
        os.unlink(f.path("link"))
        os.unlink(f.path("target"))


def replaces(f):
    os.umask(0o027)
    f.send("new")
    assert stat.S_IMODE(os.stat(f.path("new")).st_mode) == 0o640
    f.send("new")
    os.umask(0o022)
    for mode in (0o600, 0o664, 0o640):
        write(f.path("old"), OLD, mode)
        f.send("old")
        assert stat.S_IMODE(os.stat(f.path("old")).st_mode) == mode
        assert read(f.path("old")) == f.want
    os.link(f.path("old"), f.path("second"))
    os.symlink("old", f.path("link"))
    for name in ("second", "link"):
        write(f.path("old"), OLD * MIB)
        f.send(name)
        assert read(f.path("old")) == f.want, name
    assert os.path.islink(f.path("link"))
    f.there("new", "old", "second", "link")
    for name in os.listdir(f.out):
        os.unlink(f.path(name))


def fifo(f):
    """Its reader gets the stream; or an end, when there is none."""
    for what, want, code in (("/ro", f.want, 0), ("/rw", b"", 1)):
        os.mkfifo(f.path("fifo"))
        got = []
        job = threading.Thread(target=lambda: got.append(read(
            f.path("fifo"))), daemon=True)
        job.start()
        f.send("fifo", what, code=code)
        job.join(20)
        assert got == [want], (what, len(got))
        f.there("fifo")
        os.unlink(f.path("fifo"))


def special(f):
    f.send("../../../../../../../dev/null")
    f.send("../../../../../../../dev/null", "/rw", code=1)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert b"No space left" in btrfs("send", "-o", "/dev/full", f.image,
                                     "/ro", code=1)
    for name in ("-", "/dev/stdout", "/dev/fd/1"):
        assert btrfs("send", "-o", name, f.image, "/ro") == f.want, name
        write(f.path("log"), OLD)
        with open(f.path("log"), "ab") as log:
            subprocess.run([RING3, "btrfs", "send", "-o", name, f.image,
                            "/ro"], stdout=log, check=True)
        assert read(f.path("log")) == OLD + f.want, name
    os.unlink(f.path("log"))
    assert os.path.islink("/dev/stdout")
    f.there()


def wrong_places(f):
    size = os.path.getsize(f.image)
    for name, why in (("../image", b"can't go where"),
                      ("none/x", b"No such file"),
                      ("none/", b"No such file"), ("", b"s a directory")):
        assert why in f.send(name, code=1), name
    assert os.path.getsize(f.image) == size
    f.there()


def interrupted(f):
    for _ in range(20):
        write(f.path("old"), OLD)
        job = subprocess.Popen([RING3, "btrfs", "send", "-o", f.path("old"),
                                f.image, "/ro"])
        end = time.monotonic() + 10
        while len(os.listdir(f.out)) == 1 and job.poll() is None:
            assert time.monotonic() < end
        job.terminate()
        if job.wait(10) == -signal.SIGTERM:
            assert read(f.path("old")) == OLD
            f.there("old")
            return
    print("left out: it was never met in the middle")


def get_midway(f):
    """What could not be copied whole is not there, and may be tried again."""
    dest = f.path("dest")
    for more, why in (({}, b"checksum"), ({"preexec_fn": small_files},
                                          b"File too large")):
        os.mkdir(dest)
        what = "/bad" if why == b"checksum" else "/ro"
        err = btrfs("get", f.image, what + "/file", dest, code=1, **more)
        assert why in err and os.listdir(dest) == [], err
        os.rmdir(dest)


def told(f):
    """It is not the image that is to blame."""
    err = f.send("new", code=1, preexec_fn=small_files)
    assert err.startswith(f.path("new").encode() + b": File too large"), err
    for words in (("stream", "dump", f.out),
                  ("receive", f.image, "-f", f.out)):
        assert b"Is a directory" in btrfs(*words, code=1), words


def main():
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory() as folder:
        f = Folder(folder)
        refused(f)
        replaces(f)
        fifo(f)
        special(f)
        wrong_places(f)
        interrupted(f)
        os.unlink(f.path("old"))
        get_midway(f)
        told(f)


main()
