// SPDX-License-Identifier: GPL-2.0-or-later
/* faults.c - DMA faults in the kernel's words */
#include <fcntl.h>

#include "test.h"
#include "ring3/device.h"

static void lines(void **state)
{
	static const struct {
		const char *name, *line;
		int want;
		const char *device;
		uint64_t addr;
		bool write;
	} rows[] = {
		/* as logged in QEMU with VT-d */
		{ "Linux 6.1, a write",
		  "DMAR: [DMA Write NO_PASID] Request device [00:10.0] fault "
		  "addr 0x40000000 [fault reason 0x05] PTE Write access is not "
		  "set", 0, "0000:00:10.0", 0x40000000, true },
		{ "Linux 6.12, a read",
		  "DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault "
		  "addr 0x40001000 [fault reason 0x06] PTE Read access is not "
		  "set", 0, "0000:00:10.0", 0x40001000, false },
		/* drivers/iommu/intel/dmar.c, dmar_fault_do_one() */
		{ "Linux 5.10",
		  "DMAR: [DMA Write] Request device [03:00.1] PASID ffffffff "
		  "fault addr ffffe000 [fault reason 05] PTE Write access is "
		  "not set", 0, "0000:03:00.1", 0xffffe000, true },
		{ "with a PASID",
		  "DMAR: [DMA Read PASID 0x5] Request device [0000:81:1f.7] "
		  "fault addr 0x7fffff000 [fault reason 0x58] x", 0,
		  "0000:81:1f.7", 0x7fffff000, false },
		{ "an interrupt's fault is none",
		  "DMAR: [INTR-REMAP] Request device [00:10.0] fault index 0x0 "
		  "[fault reason 0x22] Present field in the IRTE entry is "
		  "clear", -ENOENT, NULL, 0, false },
		{ "the head before it", "DMAR: DRHD: handling fault status "
		  "reg 2", -ENOENT, NULL, 0, false },
		/* drivers/iommu/amd/iommu.c, amd_iommu_report_page_fault() */
		{ "AMD, device known",
		  "vfio-pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
		  "domain=0x000f address=0x40000000 flags=0x0020]", 0,
		  "0000:01:00.0", 0x40000000, true },
		{ "AMD, a read",
		  "vfio-pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
		  "domain=0x000f address=0x1000 flags=0x0000]", 0,
		  "0000:01:00.0", 0x1000, false },
		{ "AMD, device in the event",
		  "AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:0a:00.3 "
		  "domain=0x0001 address=0xfffffffdf8000000 flags=0x0008]", 0,
		  "0000:0a:00.3", 0xfffffffdf8000000, false },
		{ "AMD, another event",
		  "AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0a:00.3"
		  " address=0x0 flags=0x0]", -ENOENT, NULL, 0, false },
		{ "device 32", "DMAR: [DMA Write] Request device [00:20.0] "
		  "fault addr 0x1000", -ENOENT, NULL, 0, false },
		{ "function 8", "DMAR: [DMA Write] Request device [00:10.8] "
		  "fault addr 0x1000", -ENOENT, NULL, 0, false },
		{ "cut before the address", "DMAR: [DMA Write NO_PASID] "
		  "Request device [00:10.0] fault ad", -ENOENT, NULL, 0,
		  false },
		{ "something else", "usb 1-1: new device", -ENOENT, NULL, 0,
		  false },
		{ "nothing", "", -ENOENT, NULL, 0, false },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_dma_fault f;

		ROW(rows[i].name);
		assert_int_equal(r3_dma_fault_parse(rows[i].line,
						    strlen(rows[i].line), &f),
				 rows[i].want);
		if (rows[i].want)
			continue;
		assert_string_equal(f.device, rows[i].device);
		assert_int_equal(f.addr, rows[i].addr);
		assert_int_equal(f.write, rows[i].write);
	}
}

/* /dev/kmsg gives one record a read: so does a pipe of packets. */
static void records(void **state)
{
	static const char *const rec[] = {
		"6,1,100,-;hello\n",
		"3,2,6371438,-;DMAR: [DMA Write NO_PASID] Request device "
		"[00:10.0] fault addr 0x40000000 [fault reason 0x05] x\n",
		"no head\n",
		"3,3,7000000,-;DMAR: [DMA Read NO_PASID] Request device "
		"[00:11.0] fault addr 0x2000 [fault reason 0x06] x\n",
	};
	struct r3_dma_fault f;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_DIRECT | O_NONBLOCK), 0);
	for (unsigned i = 0; i < R3_COUNT(rec); i++)
		assert_true(write(pipes[1], rec[i], strlen(rec[i])) > 0);
	assert_int_equal(r3_dma_log_next(pipes[0], &f), 1);
	assert_int_equal(f.at_us, 6371438);
	assert_true(f.write);
	assert_int_equal(r3_dma_log_next(pipes[0], &f), 1);
	assert_string_equal(f.device, "0000:00:11.0");
	assert_int_equal(r3_dma_log_next(pipes[0], &f), 0);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(records),
	};

	return cmocka_run_group_tests_name("device faults", tests, NULL, NULL);
}
