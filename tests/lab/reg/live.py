# SPDX-License-Identifier: GPL-2.0-or-later
"""What both lab tests of reg need: hwsim, countries, channels as iw shows them."""
import os
import re
import shutil
import subprocess
import sys
import time

SOURCE = os.environ['MESON_SOURCE_ROOT']
RING3 = os.path.join(os.environ['MESON_BUILD_ROOT'], 'ring3')
HERE = os.path.join(SOURCE, 'tests/lab/reg')
DATA = os.path.join(SOURCE, 'tests/unit/reg/data')
DB = ['--db', f'{DATA}/regulatory.db']
count = failed = 0


def row(name, good, *why):
    global count, failed
    count += 1
    failed += not good
    print(f'{"ok" if good else "not ok"} {count} - {name}', flush=True)
    for line in [] if good else [x for w in why for x in str(w).splitlines()]:
        print('#', line)


def done():
    print(f'1..{count}')
    sys.exit(1 if failed else 0)


def run(*args, timeout=30):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=timeout)
    return p.returncode, p.stdout


def wait(what, limit_s):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def load(*parameters, cfg80211=()):
    """mac80211_hwsim, anew; the database comes from the test's data."""
    target = '/proc/1/root/lib/firmware'    # where the kernel looks
    os.makedirs(target, exist_ok=True)
    for name in ('regulatory.db', 'regulatory.db.p7s'):
        shutil.copy(f'{DATA}/{name}', target)
    run('modprobe', '-r', 'mac80211_hwsim')
    run('modprobe', '-r', 'cfg80211')
    code, out = run('modprobe', 'cfg80211', *cfg80211)
    # the first domain is built in; that of the file comes a moment later
    wait(lambda: '755 - 928' in run('iw', 'reg', 'get')[1] or cfg80211, 20)
    if not code:
        code, out = run('modprobe', 'mac80211_hwsim', *parameters)
    if code:
        print(out)
        print('SKIP: mac80211_hwsim can not be loaded')
        sys.exit(77)


WIDTHS = {'20MHz': 'no20', 'HT40-': 'no40-', 'HT40+': 'no40+',
          'VHT80': 'no80', 'VHT160': 'no160'}


def shown(mhz):
    """iw names only the widths that the radio's standards have in that band."""
    names = list(WIDTHS)
    return names[:3] if mhz < 3000 else names if mhz < 5930 else names[:1]


def iw_channels(phy):
    """{MHz: None when disabled, or (dBm, flags)} above 2 GHz."""
    _, text = run('iw', 'phy', phy, 'channels')
    out = {}
    for block in re.split(r'\n\t\* ', text)[1:]:
        mhz = int(re.match(r'\d+', block).group())
        if mhz < 2000:
            continue
        if '(disabled)' in block:
            out[mhz] = None
            continue
        power = float(re.search(r'power: ([\d.]+)', block).group(1))
        named = re.search(r'Channel widths:(.*)', block).group(1).split()
        flags = {WIDTHS[w] for w in shown(mhz) if w not in named}
        flags |= {'NOIR'} if 'No IR' in block else set()
        flags |= {'RADAR'} if 'Radar detection' in block else set()
        out[mhz] = (power, frozenset(flags))
    return out


def our_channels(text):
    """The same from a section of `ring3 reg oracle`."""
    out = {}
    for m in re.finditer(r'^[0-3] ([\d,]+) : (.*)$', text, re.M):
        words = m.group(2).replace('/', ' ').split()
        for mhz in map(int, m.group(1).split(',')):
            seen = {WIDTHS[w] for w in shown(mhz)} | {'NOIR', 'RADAR'}
            out[mhz] = None if words == ['DIS'] else (
                int(words[0][1:]) / 100, frozenset(set(words) & seen))
    return out


def differences(theirs, ours):
    return {f: (theirs.get(f), ours.get(f)) for f in theirs | ours
            if theirs.get(f) != ours.get(f)}
