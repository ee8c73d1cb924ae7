#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that ring3 btrfs prints with --json is JSON, one object a line, and
its names are those of the manual page; names in a text move no cursor."""
import json
import os
import re
import subprocess
import tempfile

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(os.path.abspath(BUILD), "ring3")
PAGE = os.path.join(os.environ.get("MESON_SOURCE_ROOT", "."),
                    "man/ring3-btrfs.1.scd")
ODD = b"odd \xff\n\"\\ \xc3\xa4"
ESCAPES = b"esc \x1b[31m \xc2\x9b31m"
READS = (
    "info I", "ls -R -x I", "ls I /dir", "xattr list I /file",
    "xattr get I /file user.x", "subvolume list I", "subvolume show I sub",
    "subvolume show I /", "quota status I", "qgroup show -pc I", "check I",
    "check --data --qgroups I", "scrub I", "scrub -r I", "stream dump S",
    "receive -f S O",
)
# their names are those of the format
FREE = ("stream dump", "dump")


def btrfs(*args):
    return subprocess.run([RING3, "btrfs", *args], check=True,
                          stdout=subprocess.PIPE).stdout


def documented():
    """{command: its text in the section JSON}"""
    text = open(PAGE).read().split("# JSON\n")[1].split("\n# ")[0]
    out = {}
    for heading, body in re.findall(r"^(\*.*)\n((?:\t.*\n)+)", text, re.M):
        for name in re.findall(r"\*([^*]+)\*", heading):
            out[name] = set(re.findall(r"\w+", body))
    return out


def fill(folder):
    tree, image = folder + "/tree", folder + "/image"
    os.makedirs(tree + "/dir/" + "d" * 255)
    with open(tree + "/file", "w") as f:
        f.write("text" * 5000)
    os.symlink("file", tree + "/link")
    os.mkfifo(tree + "/fifo")
    for name in (ODD, ESCAPES):
        with open(tree.encode() + b"/" + name, "w"):
            pass
    btrfs("mkfs", "--rootdir", tree, image)
    btrfs("mkfs", folder + "/other")
    btrfs("xattr", "set", image, "/file", "user.x", "y")
    btrfs("subvolume", "create", image, "/sub")
    btrfs("put", image, tree + "/file", "/sub")
    btrfs("snapshot", "-r", image, "/sub", "/snap")
    btrfs("quota", "enable", image)
    btrfs("qgroup", "create", image, "1/1")
    btrfs("qgroup", "assign", image, "/sub", "1/1")
    btrfs("send", "-o", folder + "/stream", image, "/snap")


def objects(words, folder):
    names = {"I": "image", "S": "stream", "O": "other"}
    args = [f"{folder}/{names[w]}" if w in names else w
            for w in words.split(" ")]
    lines = btrfs(*args, "--json").decode().splitlines()
    assert lines, words
    return [json.loads(line) for line in lines]


def main():
    pages = documented()
    with tempfile.TemporaryDirectory() as folder:
        fill(folder)
        reads = READS + tuple(f"dump I {tree}" for tree in (
            "root", "extent", "chunk", "dev", "fs", "csum", "quota", "uuid",
            "free-space", "super", "256"))
        for words in reads:
            command = max((c for c in pages if words.startswith(c)), key=len)
            for o in objects(words, folder):
                extra = set(o) - pages[command]
                assert command in FREE or not extra, (words, extra)
        names = [o["name"] for o in objects("ls I", folder)]
        text = btrfs("ls", "-l", folder + "/image")
        assert not re.search(rb"[^\n\x20-\x7e\x80-\xff]|\xc2[\x80-\x9f]",
                             text), text
        assert any(n.startswith("odd \xff\n\"\\ ") for n in names), names


main()
