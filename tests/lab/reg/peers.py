#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In a lab machine: hostapd and iw on mac80211_hwsim against `ring3 reg`.

Each file of conf/ is given to hostapd and to `ring3 reg check`: both must take
it, or both refuse it, and the file's name says which.  Kernel refusals of IBSS
are compared with `ring3 reg lookup`, the dump of every channel with `oracle`,
and the time of `iw phy channels` with that of `ring3 reg show`.
"""
import glob
import os
import re
import subprocess
import time

import live
from live import DB, HERE, RING3, row, run, wait


def set_country(cc):
    run('iw', 'reg', 'set', cc)
    return wait(lambda: f'country {cc}' in run('iw', 'reg', 'get')[1], 20)


TAKEN = ('AP-ENABLED', 'DFS-CAC-START')
REFUSED = ('AP-DISABLED', 'Could not', 'errors found', 'not allowed',
           'Failed to', 'incorrect', 'Invalid', 'invalid')


def hostapd(path):
    """True: it runs, or listens for radar; False: it refuses.  And its words."""
    log = '/tmp/hostapd.log'
    with open(log, 'w') as out:
        p = subprocess.Popen(['hostapd', path], stdout=out,
                             stderr=subprocess.STDOUT)
        wait(lambda: p.poll() is not None or
             any(w in open(log).read() for w in TAKEN), 30)
        taken = any(w in open(log).read() for w in TAKEN)
        p.terminate()
        p.wait()
    return taken, open(log).read()


def configurations():
    for path in sorted(glob.glob(f'{HERE}/conf/*.conf')):
        name = os.path.basename(path)[:-5]
        with open(path) as f:
            cc = re.search('country_code=(..)', f.read())
        set_country(cc.group(1) if cc else '00')
        theirs, words = hostapd(path)
        code, ours = run(RING3, 'reg', 'check', path, *DB)
        want = name.startswith('ok')
        row(f'{name}: hostapd {"takes" if theirs else "refuses"} it, '
            f'check says {code}', theirs == want and (code == 0) == want,
            words, ours)


def joins():
    set_country('US')
    run('ip', 'link', 'set', 'wlan1', 'down')
    run('iw', 'dev', 'wlan1', 'set', 'type', 'ibss')
    run('ip', 'link', 'set', 'wlan1', 'up')
    for mhz in (2412, 2462, 2467, 2484, 5180, 5260, 5745, 5955):
        code, words = run('iw', 'dev', 'wlan1', 'ibss', 'join', 'x', str(mhz))
        if code == 0:
            run('iw', 'dev', 'wlan1', 'ibss', 'leave')
        mine, ours = run(RING3, 'reg', 'lookup', 'US', '--freq', str(mhz),
                         '--no-dfs', *DB)
        row(f'IBSS on {mhz}: kernel {code}, lookup {mine}',
            (code == 0) == (mine == 0), words, ours)


def clamped():
    run('iw', 'dev', 'wlan1', 'set', 'type', 'managed')
    run('ip', 'link', 'set', 'wlan1', 'up')
    code, ours = run(RING3, 'reg', 'lookup', 'US', '--freq', '2462',
                     '--power', '40', *DB)
    _, phy = run('iw', 'phy', 'phy1', 'channels')
    power = re.search(r'\* 2462 MHz.*?Maximum TX power: (\d+)', phy, re.S)
    row('40 dBm on 2462 becomes 30', code == 1 and '30 dBm' in ours and
        power and power.group(1) == '30', ours, phy[:600])


def channels(cc):
    set_country(cc)
    theirs = live.iw_channels('phy0')
    _, out = run(RING3, 'reg', 'oracle', cc, *DB)
    different = live.differences(theirs, live.our_channels(out))
    row(f'{cc}: {len(theirs)} channels as iw reports them',
        len(theirs) > 80 and not different, different)


def once_ms(*args):
    t = time.monotonic()
    subprocess.run(args, stdout=subprocess.DEVNULL)
    return (time.monotonic() - t) * 1000


def speed():
    """The same question, asked in turns; medians of 9."""
    asked = {
        'iw phy channels': ['iw', 'phy', 'phy0', 'channels'],
        'ring3 reg oracle': [RING3, 'reg', 'oracle', 'US', *DB],
        'ring3 reg oracle --unsigned':
            [RING3, 'reg', 'oracle', 'US', '--unsigned', *DB],
        'ring3 version': [RING3, 'version'],
    }
    times = {name: [] for name in asked}
    for _ in range(9):
        for name, args in asked.items():
            times[name].append(once_ms(*args))
    for name, v in times.items():
        print(f'# {name}: {sorted(v)[4]:.1f} ms')


live.load('radios=2')
configurations()
joins()
clamped()
for country in ('US', 'DE', 'JP', '00'):
    channels(country)
speed()
live.done()
