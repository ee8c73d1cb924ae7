#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ring3 makes, snapshots and deletes subvolumes; the kernel and btrfs-progs
see the same ones, go on where ring3 stopped deleting, and the other way round.
"""
import json
import os
import re
import shutil
import subprocess
import time

import kernel
from kernel import ring3, run


def listed(image):
    out = ring3("subvolume", "list", "--json", image)
    return {v["path"]: v for v in map(json.loads, out.splitlines())}


def judged(k, image):
    """btrfs check, and ours."""
    run("btrfs", "check", "--check-data-csum", image)
    ring3("check", "--data", image)


def refused(*args, text):
    done = subprocess.run([kernel.RING3, "btrfs", *args],
                          stderr=subprocess.PIPE)
    assert done.returncode == 1 and text in done.stderr, done


def uuid(text):
    return text if text.strip("0-") else "-"


def same_facts(root, ours, path):
    """What btrfs subvolume show prints is what ring3 has written."""
    shown = run("btrfs", "subvolume", "show", f"{root}/{path}").decode()
    facts = dict(re.findall(r"^\t(\S[^:]*):\s*(\S.*?)\s*$", shown, re.M))
    want = {
        "UUID": ours["uuid"],
        "Parent UUID": uuid(ours["parent_uuid"]),
        "Received UUID": uuid(ours["received_uuid"]),
        "Subvolume ID": str(ours["id"]),
        "Gen at creation": str(ours["otransid"]),
        "Parent ID": str(ours["parent"]),
        "Top level ID": str(ours["parent"]),
        "Flags": "readonly" if ours["readonly"] else "-",
    }
    got = {name: facts.get(name) for name in want}
    assert got == want, f"{path}: {got} is not {want}"


def trusts_uuid_tree(root):
    """Of the last mount: others on this machine may mount, too."""
    device = run("findmnt", "-n", "-o", "SOURCE", root).decode().strip()
    name = f"(device {os.path.basename(device)})"
    log = [line for line in run("dmesg").decode(errors="replace").splitlines()
           if name in line]
    first = max(i for i, line in enumerate(log) if "first mount" in line)
    return not any("UUID tree" in line for line in log[first:])


def finish_uuid_tree(k, image):
    """A kernel that is unmounted soon, of an image without that tree, leaves
    making it to the next mount."""
    for _ in range(50):
        shown = run("btrfs", "inspect-internal", "dump-super", image).decode()
        fields = dict(line.split()[:2] for line in shown.splitlines()
                      if len(line.split()) == 2)
        if fields["uuid_tree_generation"] == fields["generation"]:
            return
        k.mount(image)
        time.sleep(0.1)
        k.umount()
    raise AssertionError("the kernel does not make its UUID tree")


def check_making(k):
    """Of an image that the kernel filled; then the kernel's turn again."""
    image = k.image("made", 700 << 20)
    root = k.mount(image)
    kernel.subvolumes(root)
    views = {p: kernel.kernel_view(f"{root}/{p}", True)
             for p in ("sv", "snap0", "snap1")}
    k.umount()
    finish_uuid_tree(k, image)
    ring3("subvolume", "create", image, "/new", "/sv/new", "/new/in")
    ring3("snapshot", image, "/sv", "/a", "/new/b")
    ring3("snapshot", "-r", image, "/snap1", "/c", "/new/in/d")
    ring3("snapshot", "-r", image, "/snap0", "e")
    names = "".join(f"/new/many{i}\n" for i in range(300))
    run(kernel.RING3, "btrfs", "snapshot", "-r", image, "/a", "-",
        input=names.encode())
    ring3("subvolume", "set-readonly", image, "/c", "off")
    ring3("subvolume", "set-default", image, "/new")
    judged(k, image)
    refused("subvolume", "delete", image, "/new", text=b"default")
    refused("subvolume", "delete", image, "5", text=b"top")
    refused("subvolume", "delete", image, "/many", text=b"No such file")
    refused("subvolume", "create", image, "/e/x", text=b"read-only")
    refused("subvolume", "create", image, "/sv/text", text=b"exists")
    refused("subvolume", "delete", image, "/sv", text=b"holds subvolume")
    judged(k, image)
    ours = listed(image)
    root = k.mount(image, "noatime,subvolid=5")
    for path, source in (("a", "sv"), ("new/b", "sv"), ("c", "snap1"),
                         ("new/in/d", "snap1"), ("e", "snap0"),
                         ("new/many0", "sv"), ("new/many299", "sv"),
                         ("sv", "sv")):
        got = kernel.kernel_view(f"{root}/{path}", True)
        if source == "sv":
            got.pop("new", None)  # made, or a stub, since the view
        kernel.compare(views[source], got, path)
        same_facts(root, ours[path], path)
    shown = run("btrfs", "subvolume", "list", root).decode().splitlines()
    assert len(shown) == len(ours), (len(shown), len(ours))
    for line in shown:
        word = line.split()
        assert ours[word[8]]["id"] == int(word[1]), line
    assert b"path new" in run("btrfs", "subvolume", "get-default", root)
    assert trusts_uuid_tree(root)
    # the kernel changes them, makes snapshots of ours, deletes some
    for path in ("a", "new/b", "c"):
        with open(f"{root}/{path}/text", "ab") as f:
            f.write(b"changed here")
        os.unlink(f"{root}/{path}/many/0/file0000")
    run("btrfs", "subvolume", "snapshot", f"{root}/new/many7", f"{root}/k7")
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/a", f"{root}/ka")
    run("btrfs", "subvolume", "delete", "-c",
        *[f"{root}/new/many{i}" for i in range(0, 300, 2)])
    run("btrfs", "subvolume", "sync", root)
    views = {p: kernel.kernel_view(f"{root}/{p}", True)
             for p in ("a", "c", "k7", "ka", "new/many7")}
    k.umount()
    judged(k, image)
    # and ring3 deletes what both have made, sources before their snapshots
    ring3("subvolume", "delete", image, "/sv/new", "/sv/inner", "/sv",
          "/new/b", "/snap1", "/snap0",
          *[f"/new/many{i}" for i in range(1, 300, 2) if i != 7])
    judged(k, image)
    root = k.mount(image, "noatime,subvolid=5")
    for path, want in views.items():
        kernel.compare(want, kernel.kernel_view(f"{root}/{path}", True), path)
    run("btrfs", "scrub", "start", "-B", root)
    k.umount()
    os.unlink(image)
    print("ok: made, changed and deleted by both")


def big_image(k, name):
    """Small nodes, so that a tree has many; snapshots share some of them."""
    image = k.image(name, 1000 << 20, "-n", "4096")
    root = k.mount(image)
    run("btrfs", "subvolume", "create", f"{root}/v")
    for i in range(8000):
        with open(f"{root}/v/f{i}", "wb") as f:
            f.write(b"%d" % i * (100 if i % 10 else 2000))
    for n in range(3):
        run("btrfs", "subvolume", "snapshot", f"{root}/v", f"{root}/s{n}")
        for i in range(n, 8000, 97):
            with open(f"{root}/v/f{i}", "ab") as f:
                f.write(b"more" * 1000)
            with open(f"{root}/s{n}/f{i + 1}", "wb") as f:
                f.write(b"less")
    views = {p: kernel.kernel_view(f"{root}/{p}") for p in ("s0", "s1", "s2")}
    k.umount()
    return image, views


def progress(image):
    """How far deleting is: of each subvolume, the level of the node."""
    items = map(json.loads, ring3("dump", "--json", image,
                                  "root").splitlines())
    return {i["key"][0]: i["drop_level"] for i in items if "drop_level" in i
            and i["drop_level"]}


def same_views(k, image, views):
    root = k.mount(image)
    run("btrfs", "subvolume", "sync", root)
    for path, want in views.items():
        kernel.compare(want, kernel.kernel_view(f"{root}/{path}"), path)
    k.umount()
    judged(k, image)


def check_interrupted(k):
    """Deleting stops anywhere, and goes on here or in the kernel."""
    image, views = big_image(k, "cut")
    copy = k.path("copy.img")
    shutil.copyfile(image, copy)
    for blocks in (3, 40, 400, 500):
        if blocks == 3:
            ring3("subvolume", "delete", "--no-clean", copy, "/v")
        else:
            ring3("subvolume", "clean", "--blocks", str(blocks), copy)
            assert progress(copy)
        judged(k, copy)
    same_views(k, copy, views)
    # the kernel begins; how far it comes is its own affair
    came = []
    for names in ("v",), ("v", "s0"), ("v", "s0", "s1", "s2"):
        shutil.copyfile(image, copy)
        root = k.mount(copy)
        run("btrfs", "subvolume", "delete", "-c",
            *[f"{root}/{name}" for name in names])
        k.umount()
        came.append(progress(copy))
        ring3("subvolume", "clean", copy)
        judged(k, copy)
        same_views(k, copy, {p: v for p, v in views.items()
                             if p not in names})
        assert len(listed(copy)) == 4 - len(names)
    os.unlink(image)
    os.unlink(copy)
    print("ok: interrupted; the kernel came to", came)


def check_received(k):
    """Snapshots of what was received: read-only ones keep its uuid, more of
    them than an item of the UUID tree can name."""
    image = k.image("received", 300 << 20, "-n", "4096")
    root, stream = k.mount(image), k.path("stream")
    run("btrfs", "subvolume", "create", f"{root}/v")
    with open(f"{root}/v/file", "wb") as f:
        f.write(b"sent" * 5000)
    run("btrfs", "subvolume", "snapshot", "-r", f"{root}/v", f"{root}/s")
    os.mkdir(f"{root}/r")
    run("btrfs", "send", "-q", "-f", stream, f"{root}/s")
    run("btrfs", "receive", "-q", "-f", stream, f"{root}/r")
    k.umount()
    finish_uuid_tree(k, image)
    names = [f"/r/s{i}" for i in range(600)]
    ring3("snapshot", "-r", image, "/r/s", *names)
    ring3("snapshot", image, "/r/s", "/w")
    ring3("subvolume", "set-readonly", image, "/r/s1", "off")
    judged(k, image)
    ours = listed(image)
    sent = ours["s"]["uuid"]
    assert ours["r/s"]["received_uuid"] == sent
    assert ours["r/s599"]["received_uuid"] == sent
    assert uuid(ours["r/s1"]["received_uuid"]) == "-"
    assert uuid(ours["w"]["received_uuid"]) == "-"
    root = k.mount(image)
    for path in ("r/s", "r/s0", "r/s1", "r/s599", "w"):
        same_facts(root, ours[path], path)
    k.umount()
    ring3("subvolume", "delete", image, "/r/s", *names)
    judged(k, image)
    root = k.mount(image)
    assert trusts_uuid_tree(root)
    k.umount()
    os.unlink(image)
    print("ok: received")


def check_orders(k):
    """Volumes that the unit test leaves after any number of changes, snapshots
    and deletions, many in one transaction, one of them half done: the kernel
    does the rest, deletes them all, in another order, and nothing is left."""
    test = os.path.join(kernel.BUILD, "tests/unit/btrfs/test_btrfs_subvol")
    for order in (7, 8):
        run(test, k.dir, str(order))
        image = k.path(f"order{order}.img")
        judged(k, image)
        root = k.mount(image)
        run("btrfs", "subvolume", "sync", root)
        names = sorted(os.listdir(root))
        assert len(names) > 3, names
        for name in names:
            if b"readonly" in run("btrfs", "subvolume", "show",
                                  f"{root}/{name}"):
                continue
            with open(f"{root}/{name}/changed", "wb") as f:
                f.write(b"here")
        for name in names[::2]:
            run("btrfs", "subvolume", "delete", "-c", f"{root}/{name}")
        run("btrfs", "subvolume", "sync", root)
        k.umount()
        judged(k, image)
        root = k.mount(image)
        run("btrfs", "subvolume", "delete", "-c",
            *[f"{root}/{name}" for name in names[1::2]])
        run("btrfs", "subvolume", "sync", root)
        k.umount()
        judged(k, image)
        used = json.loads(ring3("info", "--json", image))["bytes_used"]
        assert used < 200000, used
        os.unlink(image)
    print("ok: any order")


def snapshots(image, source, prefix, count):
    names = "".join(f"/{prefix}{i}\n" for i in range(count))
    run(kernel.RING3, "btrfs", "snapshot", image, source, "-",
        input=names.encode())
    return [f"{prefix}{i}" for i in range(count)]


def check_many(k):
    """So many snapshots of a root with many children that each child's
    references fill leaves of the extent tree; then some go, and others come:
    of the source, of a snapshot, and of one whose tree has changed, so that
    references of trees and of blocks stand side by side."""
    for nodesize, files, quota in (("4k", 400, True), ("64k", 3000, False)):
        image = k.image("many", 1 << 30, "-n", nodesize)
        if quota:
            ring3("quota", "enable", image)
        root = k.mount(image)
        run("btrfs", "subvolume", "create", f"{root}/v")
        for i in range(files):
            with open(f"{root}/v/f{i}", "wb") as f:
                f.write(b"x" * 100)
        k.umount()
        first = snapshots(image, "/v", "a", 200)
        judged(k, image)
        root = k.mount(image)
        for i in range(0, files, 9):
            for where in ("v", "a7"):
                with open(f"{root}/{where}/f{i}", "wb") as f:
                    f.write(b"changed")
        k.umount()
        ring3("subvolume", "delete", image,
              *[f"/{name}" for name in first[::3]])
        made = first[1::3] + first[2::3]
        for source, prefix in (("/v", "b"), ("/a7", "c"), ("/a8", "d"),
                               ("/b3", "e")):
            made += snapshots(image, source, prefix, 40)
        judged(k, image)
        root = k.mount(image)
        assert kernel.kernel_view(f"{root}/e39", True) == \
            kernel.kernel_view(f"{root}/v", True)
        run("btrfs", "subvolume", "delete", "-c",
            *[f"{root}/{name}" for name in made])
        run("btrfs", "subvolume", "sync", root)
        k.umount()
        judged(k, image)
        os.unlink(image)
    print("ok: many")


def main():
    k = kernel.Kernel()
    check_many(k)
    check_orders(k)
    check_received(k)
    check_making(k)
    check_interrupted(k)
    complaints = k.new_complaints()
    assert not complaints, complaints
    k.close()


if __name__ == "__main__":
    main()
