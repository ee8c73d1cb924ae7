#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In a lab machine: rows of hints, played to a kernel and to `ring3 reg oracle`.

Every regtest mode of mac80211_hwsim with users' hints, pairs of drivers' hints
(radios made one by one over netlink), strict radios, cfg80211's module
parameter: domains and every channel of every radio must be the same.
"""
import re
import socket
import struct

import live
from live import DB, RING3, row, run, wait

NEW_RADIO, CHANNELS, ALPHA2, STRICT = 4, 9, 11, 13
NETLINK_GENERIC, GENL_ID_CTRL, GETFAMILY, FAMILY_NAME, FAMILY_ID = \
    16, 16, 3, 2, 1


def attr(kind, data=b''):
    raw = struct.pack('=HH', 4 + len(data), kind) + data
    return raw + b'\0' * (-len(raw) % 4)


class Hwsim:
    def __init__(self):
        self.s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                               NETLINK_GENERIC)
        self.s.settimeout(10)
        got = self.ask(GENL_ID_CTRL, GETFAMILY,
                       attr(FAMILY_NAME, b'MAC80211_HWSIM\0'))
        at = 20
        while at < len(got):
            size, kind = struct.unpack_from('=HH', got, at)
            if kind == FAMILY_ID:
                self.family = struct.unpack_from('=H', got, at + 4)[0]
            at += (size + 3) & ~3

    def ask(self, family, command, attrs):
        body = struct.pack('=BBH', command, 1, 0) + attrs
        self.s.send(struct.pack('=IHHII', 16 + len(body), family, 5, 1, 0) +
                    body)
        return self.s.recv(65536)

    def new_radio(self, alpha2=None, strict=False):
        attrs = attr(CHANNELS, struct.pack('=I', 2))
        if alpha2:
            attrs += attr(ALPHA2, alpha2.encode() + b'\0')
        if strict:
            attrs += attr(STRICT)
        self.ask(self.family, NEW_RADIO, attrs)


def iw_domains():
    """[(who, country, region)] in the kernel's order."""
    out = []
    who = None
    for line in run('iw', 'reg', 'get')[1].splitlines():
        m = re.match(r'(global|phy#(\d+))', line)
        if m:
            who = m.group(2) or 'global'
        m = re.match(r'country (\w\w): DFS-(\w+)', line)
        if m:
            out.append((who, m.group(1), m.group(2)))
    return out


def our_domains(text):
    regions = {'0': 'UNSET', '1': 'FCC', '2': 'ETSI', '3': 'JP'}
    return [(m.group(4) or 'global', m.group(1), regions[m.group(2)])
            for m in re.finditer(
                r'^reg (\w\w) dfs=(\d) (global|wiphy=(\d+))$', text, re.M)]


def settle():
    """Until two looks in a row are the same."""
    looks = [None]

    def same():
        looks.append(iw_domains())
        return looks[-1] == looks[-2]
    wait(same, 20)
    return looks[-1]


def compare(name, events, radios):
    theirs = settle()
    code, text = run(RING3, 'reg', 'oracle', '--hints', events, '--radios',
                     str(radios), *DB)
    ours = our_domains(text)
    different = {}
    for n, section in enumerate(text.split('## phy')[1:]):
        d = live.differences(live.iw_channels(f'phy{n}'),
                             live.our_channels(section))
        if d:
            different[f'phy{n}'] = dict(list(d.items())[:4])
    row(f'{name}: {" ".join(c for _, c, _ in theirs)}',
        code == 0 and theirs == ours and not different, theirs, ours,
        different)


def user(cc):
    run('iw', 'reg', 'set', cc)
    wait(lambda: iw_domains()[0][1] == cc, 2)


for mode in range(11):
    live.load(f'regtest={mode}', 'radios=6', 'channels=2')
    compare(f'regtest {mode}', f'regtest:{mode}', 6)
    user('FR')
    compare(f'regtest {mode}, user FR', f'regtest:{mode},user:FR', 6)
    user('JP')
    compare(f'regtest {mode}, user FR, JP',
            f'regtest:{mode},user:FR,user:JP', 6)

PAIRS = ['US JP', 'US DE', 'DE CN', 'JP DE', 'GB US', 'KR BR', 'IN RU',
         'AU US', 'CN RU', 'US CA', 'US US', 'BO JP', 'ZA TW']
for pair in PAIRS:
    a, b = pair.split()
    live.load('radios=0')
    hwsim = Hwsim()
    hwsim.new_radio(a)
    settle()
    hwsim.new_radio(b)
    compare(f'drivers {pair}', f'drv:0:{a},drv:1:{b}', 2)
    if pair in ('US JP', 'US US'):
        user('DE')
        compare(f'drivers {pair}, user DE', f'drv:0:{a},drv:1:{b},user:DE', 2)

for a, b in (('US', 'DE'), ('JP', 'US'), ('00', 'FR')):
    live.load('radios=0')
    user(a)
    Hwsim().new_radio(b)
    compare(f'user {a}, driver {b}', f'user:{a},drv:0:{b}', 1)

for a, b in (('DE', 'US'), ('US', 'JP'), ('JP', 'DE')):
    live.load('radios=0')
    Hwsim().new_radio(a, strict=True)
    compare(f'strict {a}', f'drvstrict:0:{a}', 1)
    user(b)
    compare(f'strict {a}, user {b}', f'drvstrict:0:{a},user:{b}', 1)

for first, second in (('DE', 'XX'), ('DE', 'DE')):
    live.load('radios=0')
    user(first)
    Hwsim().new_radio(second, strict=True)
    wait(lambda: iw_domains()[0][1] == '00', 5)
    compare(f'user {first}, strict {second}',
            f'user:{first},drvstrict:0:{second}', 1)

live.load('radios=0')
Hwsim().new_radio('US')
user('XX')      # nobody answers for it: back to the world after 3.1 s
wait(lambda: iw_domains()[0][1] == '00', 10)
compare('driver US, user XX', 'drv:0:US,user:XX', 1)

live.load('radios=2', 'channels=2', cfg80211=('ieee80211_regdom=GB',))
wait(lambda: iw_domains()[0][1] == 'GB', 10)
compare('module parameter GB', 'modparam:GB', 2)
live.done()
