#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts: crash.c makes and judges the states; btrfs check and the kernel
judge a sample of them.

crash.py [STATES [FIRST_SEED]]"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get("MESON_BUILD_ROOT", "build")
RING3 = os.path.join(BUILD, "ring3")
CRASH = os.path.join(BUILD, "tests/fault/btrfs/btrfs_crash")
STATES_A_SEED = 700
DUMPS_A_SEED = 3


def check(image):
    return subprocess.run(["btrfs", "check", "--check-data-csum", image],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def judge(image, mounts):
    done = check(image)
    if b"superblock checksum mismatch" in done.stdout:
        # the others look at the first copy only, and that one is torn
        subprocess.run([RING3, "btrfs", "scrub", image], check=True,
                       stdout=subprocess.DEVNULL)
        done = check(image)
    assert done.returncode == 0, \
        f"btrfs check: {image}\n{done.stdout.decode()[-2000:]}"
    if not mounts:
        return
    where = image + ".mnt"
    os.mkdir(where)
    try:
        subprocess.run(["mount", "-t", "btrfs", "-o", "loop", image, where],
                       check=True)
        try:
            with open(os.path.join(where, "by the kernel"), "w") as f:
                f.write("it works")
            for folder, _, files in os.walk(where):
                for name in files:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        open(path, "rb").read()
        finally:
            subprocess.run(["umount", where], check=True)
    finally:
        os.rmdir(where)


def can_mount(folder):
    image = os.path.join(folder, "probe.img")
    with open(image, "wb") as f:
        f.truncate(128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True,
                   stdout=subprocess.DEVNULL)
    try:
        judge(image, True)
        return True
    except (subprocess.CalledProcessError, OSError):
        return False
    finally:
        os.unlink(image)


def main():
    states, first = (int(a) for a in
                     (sys.argv[1:] + ["1400", "1"][len(sys.argv) - 1:]))
    folder = tempfile.mkdtemp(prefix="r3crash.")
    try:
        checks = shutil.which("btrfs") is not None
        mounts = checks and os.geteuid() == 0 and can_mount(folder)
        judged = 0
        for seed in range(first, first - (-states // STATES_A_SEED)):
            done = subprocess.run(
                [CRASH, "--seed", str(seed), "--states", str(STATES_A_SEED),
                 "--size", "96" if seed % 2 else "512",
                 "--nodesize", "4096" if seed % 4 < 2 else "16384",
                 "--warm", str(seed % 5 * 300)] +
                (["--quota"] if seed % 3 == 1 else []) +
                (["--behind"] if seed % 4 > 1 else []) + [
                 "--dump", folder, str(STATES_A_SEED // DUMPS_A_SEED)] +
                (["--compress"] if seed % 3 == 0 else []),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            print(done.stdout.decode().strip(), flush=True)
            assert done.returncode == 0, f"seed {seed}: {done.returncode}"
            for image in glob.glob(os.path.join(folder, "*.img")):
                if checks:
                    judge(image, mounts)
                    judged += 1
                os.unlink(image)
        print(f"btrfs check{' and the kernel' if mounts else ''} agreed on "
              f"{judged} of them" if checks else
              "no btrfs-progs here: nobody else looked")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
