#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# device.sh KERNEL: the commands and the library on a real kernel's VFIO
exec "$MESON_SOURCE_ROOT/tests/lab/lab" --kernel "$1" --nvme 64M --nvme 64M \
	--e1000e --modules nvme,e1000e,vfio-pci,vfio_iommu_type1 --timeout 150 \
	-- bash "$MESON_SOURCE_ROOT/tests/lab/device/inside.sh" </dev/null
