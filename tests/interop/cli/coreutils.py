#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 btrfs ls, cat, get, put, mkdir, rm, mv, ln, chmod, chown on an image,
and coreutils on the same tree: both work or both fail, and the trees are alike.

A command is given once for both: I is the image's name, left out for
coreutils, and H/ the folder beside the tree.
"""
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(os.path.abspath(BUILD), "ring3")
ME = pwd.getpwuid(os.geteuid()).pw_name

# What ring3 gets, and what the shell does where that is not just the same.
STEPS = (
    ("mkdir I new", None),
    ("mkdir I new", None),
    ("mkdir I none/new", None),
    ("mkdir I new/", None),
    ("mkdir I file/new", None),
    ("mkdir -p I a/b/c", None),
    ("mkdir -p I a/b/c", None),
    ("mkdir -p I file/x", None),
    ("mkdir -p I file", None),
    ("mkdir -p I tolib/x", None),
    ("mkdir -m 1750 I sticky", None),
    ("mkdir -m u=rwx,go=x I some", None),
    ("put I H/one none/", "cp -a H/one none/"),
    ("put I H/one new/", "cp -a H/one new/"),
    ("put I H/one new", "cp -a H/one new"),
    ("put I H/one file/x", "cp -a H/one file/x"),
    ("put I H/one copied", "cp -a H/one copied"),
    ("put I H/one H/two a", "cp -a H/one H/two a"),
    ("put I H/one H/two file", "cp -a H/one H/two file"),
    ("put I H/one tolib", "cp -a H/one tolib"),
    ("put I H/two tolib/", "cp -a H/two tolib/"),
    ("put I H/folder a", "cp H/folder a"),
    ("put -r I H/folder a", "cp -a H/folder a"),
    ("put -r I H/folder/. a/b", "cp -a H/folder/. a/b"),
    ("put -r I H/folder fresh/", "cp -a H/folder fresh/"),
    ("put -R I H/folder/. .", "cp -a H/folder/. ."),
    ("put -r I H/folder/sub/.. a", "cp -a H/folder/sub/.. a"),
    ("put -R I H/folder/sub/. made", "cp -a H/folder/sub/. made"),
    ("put I H/folder/. a", "cp H/folder/. a"),
    ("put -r I H/one/. a", "cp -a H/one/. a"),
    ("put -r I H/folder file", "cp -a H/folder file"),
    ("put I H/none a", "cp -a H/none a"),
    ("mv I file none/", None),
    ("mv I file none", None),
    ("mv I none file", None),
    ("mv I file/ none", None),
    ("mv I file lib/f a", None),
    ("mv I a/file a/f .", None),
    ("mv I f new file", None),
    ("mv I f tolib", None),
    ("mv I lib/f f", None),
    ("mv I a a/b", None),
    ("mv I a moved/", None),
    ("mv I moved a", None),
    ("mv I f file", None),
    ("mv I new file", None),
    ("mv I file new", None),
    ("mv I nothing new", None),
    ("ln -s I file sym", None),
    ("ln -s I file sym", None),
    ("ln -sf I ../x sym", None),
    ("ln -s I file a", None),
    ("ln -s I x y/", None),
    ("ln I new/file hard", None),
    ("ln I new/file hard", None),
    ("ln -f I new/file hard", None),
    ("ln I new second", None),
    ("ln I none second", None),
    ("chmod I 640 hard", None),
    ("chmod I 6711 hard", None),
    ("chmod I u-s,g=u,o+w hard", None),
    ("chmod I +t,a=rX sticky", None),
    ("chmod I 600 none", None),
    ("chmod I 600 tofile", None),
    ("chmod I 700 dangling", None),
    ("chmod -R I go= a", None),
    ("chmod -R I a+X,u+w a", None),
    (f"chown I {ME} hard", None),
    (f"chown I {ME}: hard", None),
    (f"chown -R I {ME} a", None),
    ("chown I nobody-of-that-name hard", None),
    ("rm I none", None),
    ("rm -f I none", None),
    ("rm I some", None),
    ("rm I hard/", None),
    ("rm I tolib", None),
    ("rm -R I made", None),
    ("rm -r I fresh", None),
    ("rm -r I a/b a/one", None),
    ("rm -rf I none a/two", None),
)
READS = (
    ("cat I new/file", None),
    ("cat I tofile", None),
    ("cat I dangling", None),
    ("cat I loop", None),
    ("cat I new", None),
    ("cat I new/file/", None),
    ("cat I none", None),
    ("ls I todir", None),
    ("ls I lib", None),
    ("ls I a", None),
    ("ls I /", "ls"),
    ("ls I todir/", None),
    ("ls I tofile", "ls tofile"),
    ("ls I tofile/", None),
    ("ls I dangling", None),
    ("ls I dangling/", None),
    ("ls I loop/x", None),
    ("ls I none", None),
    ("get I new/file H/out/", "cp new/file H/out/"),
    ("get I new/file H/none/", "cp new/file H/none/"),
    ("get I new/file H/out/named", "cp new/file H/out/named"),
    ("get I new/file hard H/out/x/y", "cp new/file hard H/out/x/y"),
    ("get I a H/out", "cp -r a H/out"),
    ("get -r I a H/out/r", "cp -r a H/out/r"),
    ("get -R I a H/out/R", "cp -R a H/out/R"),
    ("get I a new H/out/several", "cp -r a new H/out/several"),
    ("get I a H/out/tree/", "cp -r a H/out/tree/"),
)


def fill(folder):
    tree, beside = folder + "/tree", folder + "/ring3"
    for path in (tree + "/lib", tree + "/todir.d", beside + "/folder/sub"):
        os.makedirs(path)
    for path, text in (("/file", "a file\n"), ("/lib/f", "in lib\n"),
                       ("/todir.d/x", ""), ("/tofile.f", "linked\n")):
        with open(tree + path, "w") as f:
            f.write(text)
    for name, to in (("tolib", "lib"), ("tofile", "tofile.f"),
                     ("todir", "todir.d"), ("dangling", "nowhere"),
                     ("loop", "loop")):
        os.symlink(to, f"{tree}/{name}")
    for path in ("/one", "/two", "/folder/x", "/folder/sub/y"):
        with open(beside + path, "w") as f:
            f.write(path)
    os.mkdir(beside + "/out")
    age(beside)
    shutil.copytree(beside, folder + "/shell", symlinks=True)


def age(root):
    """Times of long ago, each its own, and modes that are not the usual ones:
    what is copied shows."""
    for i, path in enumerate(sorted(walk(root), reverse=True)):
        if os.path.isdir(path):
            os.chmod(path, 0o750 + i % 8)
        os.utime(path, (10 ** 9 + i, 10 ** 8 + i))


def walk(root):
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            yield os.path.join(folder, name)


def copied(seconds):
    """A time that age() has made; others are those of the test itself."""
    return int(seconds) if seconds < 1.1e9 else None


def of_tree(root):
    out = {}
    for path in (root, *walk(root)):
        st = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(st.st_mode) else None
        out[os.path.relpath(path, root)] = (
            stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, target,
            copied(st.st_mtime),
            st.st_nlink if not stat.S_ISDIR(st.st_mode) else 1,
            st.st_size if not stat.S_ISDIR(st.st_mode) else 0)
    return out


def of_image(image):
    text = subprocess.check_output([RING3, "btrfs", "ls", "-R", "--json",
                                    image], text=True)
    out = {".": of_top(image)}
    for line in text.splitlines():
        e = json.loads(line)
        out[e["name"]] = (e["mode"], e["uid"], e["gid"], e.get("target"),
                          copied(float(e["mtime"])),
                          e["nlink"] if e["type"] != "d" else 1,
                          e["size"] if e["type"] != "d" else 0)
    return out


def of_top(image):
    """No listing has the top directory itself: its inode item."""
    text = subprocess.check_output([RING3, "btrfs", "dump", "--json", image,
                                    "fs"], text=True)
    e = json.loads(text.splitlines()[0])
    assert e["key"] == [256, 1, 0], e
    return (int(e["mode"], 8) & 0o7777, e["uid"], e["gid"], None,
            copied(float(e["mtime"])), 1, 0)


def run(words, cwd):
    return subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def both(folder, image, words, shell):
    """The output of both, when both work."""
    ours = [RING3, "btrfs"] + [w.replace("H/", folder + "/ring3/")
                               for w in words.split(" ")]
    ours[ours.index("I")] = image
    theirs = (shell or words.replace("I ", "")).replace(
        "H/", folder + "/shell/").split(" ")
    a, b = run(ours, folder), run(theirs, folder + "/tree")
    assert (a.returncode == 0) == (b.returncode == 0), (words, a, b)
    assert a.returncode in (0, 1, 2), (words, a)
    assert bool(a.stderr) == bool(a.returncode), (words, a)
    return a.stdout, b.stdout


def main():
    os.umask(0o022)
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory() as folder:
        image, tree = folder + "/image", folder + "/tree"
        fill(folder)
        subprocess.run([RING3, "btrfs", "mkfs", "--rootdir", tree, image],
                       check=True, stdout=subprocess.DEVNULL)
        for words, shell in STEPS:
            both(folder, image, words, shell)
            a, b = of_image(image), of_tree(tree)
            assert a == b, f"{words}: {set(a.items()) ^ set(b.items())}"
        for words, shell in READS:
            a, b = both(folder, image, words, shell)
            assert a == b, (words, a, b)
        subprocess.run(["diff", "-r", "--no-dereference",
                        folder + "/ring3/out", folder + "/shell/out"],
                       check=True)
        subprocess.run([RING3, "btrfs", "check", "--data", image],
                       check=True, stdout=subprocess.DEVNULL)


main()
