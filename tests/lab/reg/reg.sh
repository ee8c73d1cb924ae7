#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# reg.sh SCRIPT: ring3 reg beside a real cfg80211, in a lab machine
exec "$MESON_SOURCE_ROOT/tests/lab/lab" --timeout 900 -- /usr/bin/python3 -B \
	"$MESON_SOURCE_ROOT/tests/lab/reg/$1" </dev/null
