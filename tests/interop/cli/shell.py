#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shell does with ring3: bash completes its words, closes its standard
files, and asks every command for help."""
import os
import subprocess
import tempfile

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(os.path.abspath(BUILD), "ring3")

COMPLETED = (
    ("ring3 bt", "btrfs"),
    ("ring3 btrfs subv", "subvolume"),
    ("ring3 btrfs subvolume set-d", "set-default"),
    ("ring3 help btrfs subv", "subvolume"),
    ("ring3 btrfs ls --rec", "--recursive"),
    ("ring3 btrfs ls an.image --rec", "--recursive"),
    ("ring3 btrfs put -r an.image mkdir --rec", "--recursive"),
    # names of files: the shell's own business
    ("ring3 btrfs ls ", ""),
    ("ring3 btrfs send --output ", ""),
    ("ring3 btrfs send -o --", ""),
)


def bash(script, *args):
    done = subprocess.run(["bash", "-c", script, "bash", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def completes():
    ask = ('source <("$0" completion bash); COMP_WORDS=("$@"); '
           'COMP_CWORD=$(($# - 1)); _ring3; echo "${COMPREPLY[*]}"')
    for line, want in COMPLETED:
        words = line.split(" ")
        done = subprocess.run(["bash", "-c", ask, RING3, *words],
                              stdout=subprocess.PIPE, text=True, timeout=30)
        assert done.stdout.strip() == want, f"{line!r}: {done.stdout!r}"


def helps():
    """Each command of the synopsis, asked in three ways."""
    lines = subprocess.check_output([RING3, "synopsis"], text=True)
    for line in lines.splitlines():
        path = []
        for word in line.split()[1:]:
            if not word.replace("-", "").islower() or word.startswith("-") or \
                    not word[0].isalpha() or "." in word:
                break
            path.append(word)
        if path[0] == "completion":
            path = path[:1]
        asked = [path + ["--help"], ["help"] + path,
                 path[:-1] + ["help", path[-1]]]
        texts = {subprocess.check_output([RING3, *a], text=True)
                 for a in asked}
        assert len(texts) == 1 and "usage: ring3 " + " ".join(path) in \
            texts.pop(), line


def closed(folder):
    """An image must not become what messages are written to."""
    for how in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
        image = os.path.join(folder, "closed")
        bash(f'"$1" btrfs mkfs "$2" {how}', RING3, image)
        bash(f'"$1" btrfs mkdir "$2" / {how}', RING3, image)
        bash(f'"$1" btrfs put "$2" - /stdin {how}', RING3, image)
        code, out, err = bash('"$1" btrfs check --data "$2"', RING3, image)
        assert code == 0, f"{how}: {out}{err}"
        code, out, err = bash('"$1" btrfs info --super 1 "$2"', RING3, image)
        assert code == 0, f"{how}: {out}{err}"
        os.unlink(image)
    code, out, err = bash('"$1" version >&-', RING3)
    assert code == 1 and "Bad file descriptor" in err, (code, err)


def full():
    for words in ("version", "synopsis", "btrfs help", "doctor"):
        code, out, err = bash(f'"$1" {words} >/dev/full', RING3)
        assert code == 1 and "No space left" in err, (words, code, err)


def main():
    completes()
    helps()
    with tempfile.TemporaryDirectory() as folder:
        closed(folder)
    full()


main()
