#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# reg.sh: ring3 reg beside a real cfg80211, hostapd and iw
exec "$MESON_SOURCE_ROOT/tests/lab/lab" --timeout 400 \
	-- /usr/bin/python3 -B "$MESON_SOURCE_ROOT/tests/lab/reg/inside.py" </dev/null
