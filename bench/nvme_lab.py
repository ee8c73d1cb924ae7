#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""4 KiB random reads: our NVMe driver on /dev/vfio beside the kernel's own.

    bench/nvme_lab.py [--build DIR] [--kernel 6.1|6.12] [--rounds N]
                      [--seconds S]

In one boot of the lab, two equal emulated disks: one is the kernel's, read by
fio (io_uring) and by a tight io_uring loop (bench/nvme_uring.c); the other
ours, read by an equally tight loop over our API (bench/nvme_direct.c), polled
and with interrupts.  All in turns.  The machine is emulated: only the ratios
mean anything.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEPTHS = (1, 32)


def outside(args):
    command = [f'{ROOT}/tests/lab/lab', '--kernel', args.kernel,
               '--nvme', '256M', '--nvme', '256M',
               '--modules', 'vfio-pci,nvme', '--timeout', '400',
               '--env', 'IN_LAB=1', '--', sys.executable,
               os.path.abspath(__file__), '--build', args.build,
               '--rounds', str(args.rounds), '--seconds', str(args.seconds)]
    return subprocess.call(command)


def disk_of(bdf):
    folder = f'/sys/bus/pci/devices/{bdf}/nvme'
    for _ in range(100):
        for ctrl in os.listdir(folder) if os.path.isdir(folder) else []:
            for name in os.listdir(f'{folder}/{ctrl}'):
                path = f'/dev/{name}'
                if name.startswith('nvme') and 'n' in name[4:] and \
                        os.path.exists(path):
                    return path
        time.sleep(0.1)
    raise SystemExit(f'no disk at {bdf}')


def output(*command):
    p = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if p.returncode:
        raise SystemExit(f'{command[0]} failed')
    return p.stdout


def fio(disk, depth, seconds):
    out = output('fio', '--name=r', f'--filename={disk}', '--direct=1',
                 '--rw=randread', '--bs=4k', '--ioengine=io_uring',
                 f'--iodepth={depth}', f'--runtime={seconds}',
                 '--time_based', '--output-format=json')
    return json.loads(out[out.index('{'):])['jobs'][0]['read']['iops']


def inside(args):
    kernels, ours = os.environ['LAB_NVME'].split()
    disk = disk_of(kernels)
    for name in (disk, disk_of(ours)):      # sparse files are not read
        subprocess.call(['dd', 'if=/dev/urandom', f'of={name}', 'bs=1M',
                         'count=256', 'oflag=direct', 'status=none'])
    output(f'{args.build}/ring3', 'device', 'bind', ours)
    seconds = str(args.seconds)
    ways = [
        ('kernel, fio io_uring', lambda q: fio(disk, q, seconds)),
        ('kernel, tight io_uring', lambda q: float(output(
            f'{args.build}/bench/nvme_uring', disk, str(q), seconds))),
        ('ring3 API, interrupts', lambda q: float(output(
            f'{args.build}/bench/nvme_direct', ours, 'irq', str(q),
            seconds))),
        ('ring3 API, polled', lambda q: float(output(
            f'{args.build}/bench/nvme_direct', ours, 'poll', str(q),
            seconds))),
    ]
    got = {(name, q): [] for name, _ in ways for q in DEPTHS}
    for _ in range(args.rounds):
        for q in DEPTHS:
            for name, run in ways:
                got[name, q].append(run(q))
    print(f'4 KiB random reads/s, Linux {os.uname().release} in the lab, '
          f'medians of {args.rounds} x {seconds} s')
    print(f'{"":26}{"QD":>4}{"reads/s":>10}{"/ fio":>8}{"/ tight":>8}'
          f'   all')
    for q in DEPTHS:
        base = {k: statistics.median(got[k, q])
                for k in ('kernel, fio io_uring', 'kernel, tight io_uring')}
        for name, _ in ways:
            m = statistics.median(got[name, q])
            f, t = (m / b for b in base.values())
            print(f'{name:26}{q:4}{m:10.0f}{f:8.2f}{t:8.2f}   '
                  + ' '.join(f'{v:.0f}' for v in got[name, q]))
    return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=f'{ROOT}/build')
    p.add_argument('--kernel', default='6.1', choices=('6.1', '6.12'))
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--seconds', type=int, default=3)
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    return inside(args) if os.environ.get('IN_LAB') else outside(args)


sys.exit(main())
