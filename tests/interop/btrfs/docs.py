#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/btrfs.md, and the examples of ring3-btrfs(1) in their order, typed by a
user without rights; then the kernel looks at the images that came of it."""
import os
import re
import shutil
import subprocess

import kernel
from kernel import RING3, run

SOURCE = os.environ.get("MESON_SOURCE_ROOT", ".")
PAGE = os.path.join(SOURCE, "docs/btrfs.md")
MANUAL = os.path.join(SOURCE, "man/ring3-btrfs.1.scd")
MOUNTER = "ring3-btrfs-mount"


def blocks():
    """The page's commands: [(heading, text)]."""
    heading, out, inside = "", [], None
    for line in open(PAGE):
        if line.startswith("## "):
            heading = line[3:].strip()
        if inside is not None and line.startswith("```"):
            out.append((heading, "".join(inside)))
            inside = None
        elif inside is not None:
            inside.append(line)
        elif line.startswith("```sh"):
            inside = []
    return out


def examples():
    """Of the manual page, with the tree that they begin with."""
    text = open(MANUAL).read().split("# EXAMPLES\n")[1].split("\n# ")[0]
    commands = "".join(re.findall(r"^```\n(.*?)^```$", text, re.M | re.S))
    assert commands.count("ring3 btrfs") > 10, commands
    if not os.path.exists("/dev/fuse"):
        commands = re.sub("^.*work.*\n", "", commands, flags=re.M)
    return "mkdir -p manual/tree/data\ncd manual\n" + commands


def script():
    """Any command that fails ends it; "! COMMAND" must fail."""
    text = "set -eo pipefail\n"
    for heading, commands in blocks():
        if heading == "Work in it" and not os.path.exists("/dev/fuse"):
            print("left out: there is no /dev/fuse")
            continue
        commands = re.sub(r"^! (.*)$", r"if \1; then exit 9; fi", commands,
                          flags=re.M)
        text += commands
    return text + examples()


def as_user(k, folder):
    bin_dir = k.path("bin")
    os.mkdir(bin_dir)
    for name in ("ring3", MOUNTER):
        shutil.copy2(os.path.join(os.path.dirname(RING3), name), bin_dir)
    os.chmod(k.dir, 0o755)
    os.mkdir(folder)
    os.chown(folder, 65534, 65534)
    env = {"PATH": f"{bin_dir}:/usr/sbin:/usr/bin:/sbin:/bin",
           "R3_LIBEXEC": bin_dir,
           "HOME": folder, "LANG": "C.UTF-8"}
    # /dev/fuse as udev leaves it, for this user and only here
    node = k.path("fuse")
    own = f"mknod -m 666 {node} c 10 229 && mount --bind {node} /dev/fuse; "
    if not os.path.exists("/dev/fuse") or \
            os.stat("/dev/fuse").st_mode & 0o777 == 0o666:
        own = ""
    # the new namespace must not keep what other tests have mounted
    own = "umount -ai -t btrfs,fuse.ring3-btrfs; " + own
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", own + 'exec "$@"', "-",
         "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
         "bash", "-xc", script()], cwd=folder, env=env, timeout=300,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, text[-4000:]
    return text


def main():
    k = kernel.Kernel()
    folder = k.path("user")
    try:
        as_user(k, folder)
    finally:
        for name in ("mnt", "manual/work"):
            subprocess.run(["umount", "-q", os.path.join(folder, name)])
    for name in ("a.img", "b.img", "c.img", "manual/fs.img"):
        image = os.path.join(folder, name)
        # btrfs-progs 6.2 can't read groups from a quota tree of several leaves,
        # also of a kernel's ("failed to add qgroup relation")
        if name != "manual/fs.img":
            run("btrfs", "check", "--check-data-csum", image)
        root = k.mount(image)
        tree = kernel.kernel_view(root)
        run("btrfs", "scrub", "start", "-B", root)
        if name in ("a.img", "manual/fs.img"):
            before = run("btrfs", "qgroup", "show", "--raw", root)
            kernel.rescan(root)
            after = run("btrfs", "qgroup", "show", "--raw", root)
            assert before == after, f"{before.decode()}\n{after.decode()}"
        k.umount()
        print(f"{name}: the kernel finds {len(tree)} files, all sound")
    complaints = k.new_complaints()
    assert not complaints, "\n".join(complaints)


main()
