// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm.c - how fast does /dev/kvm run a guest's kernel code?
 *
 * Some hosts have a /dev/kvm that emulates kernel mode instruction by
 * instruction (a virtual machine without nested virtualisation): Linux would
 * need minutes to boot there, and QEMU's TCG is faster.  So it is measured: a
 * counting loop in 64-bit mode at CPL0 and at CPL3, on page tables that map
 * the first 2 MiB on themselves, ended by an OUT.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring3/node.h"

#define MEM_LEN	  (2 * R3_MIB)
#define PML4	  0x1000u
#define PDPT	  0x2000u
#define PD	  0x3000u
#define CODE	  0x8000u
#define STACK	  0x10000u
#define EXIT_PORT 0xf4
#define LOOPS_FEW  50000u /* 0.1 s where kernel code is emulated */
#define LOOPS_MANY 50000000u
#define LOOP_INSTRUCTIONS 2

struct machine {
	int kvm, vm, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	size_t run_len;
};

/* 1: dec ecx; jnz 1b; out 0xf4, al; jmp 1b */
static const uint8_t code[] = { 0xff, 0xc9, 0x75, 0xfc, 0xe6, EXIT_PORT,
				0xeb, 0xf8 };

static void close_machine(struct machine *m)
{
	if (m->run)
		munmap(m->run, m->run_len);
	if (m->mem)
		munmap(m->mem, MEM_LEN);
	if (m->vcpu >= 0)
		close(m->vcpu);
	if (m->vm >= 0)
		close(m->vm);
	if (m->kvm >= 0)
		close(m->kvm);
}

static int open_memory(struct machine *m)
{
	struct kvm_userspace_memory_region r = { .memory_size = MEM_LEN };
	uint64_t *table;
	void *p = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	m->mem = p;
	r.userspace_addr = (uint64_t)(uintptr_t)p;
	if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &r))
		return -errno;
	/* present, writable, user; the last one is a 2 MiB page */
	table = (uint64_t *)(m->mem + PML4);
	table[0] = PDPT | 7;
	table = (uint64_t *)(m->mem + PDPT);
	table[0] = PD | 7;
	table = (uint64_t *)(m->mem + PD);
	table[0] = 0x87;
	memcpy(m->mem + CODE, code, sizeof(code));
	return 0;
}

static int open_machine(struct machine *m)
{
	int len;
	void *p;

	*m = (struct machine){ .kvm = -1, .vm = -1, .vcpu = -1 };
	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m->kvm < 0)
		return -errno;
	if (ioctl(m->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -EPROTO;
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	if (m->vm < 0)
		return -errno;
	/* Intel wants both; where they are not wanted they do no harm */
	ioctl(m->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	len = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (m->vcpu < 0 || len < (int)sizeof(struct kvm_run))
		return m->vcpu < 0 ? -errno : -EPROTO;
	p = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED,
		 m->vcpu, 0);
	if (p == MAP_FAILED)
		return -errno;
	m->run = p;
	m->run_len = (size_t)len;
	return open_memory(m);
}

static int set_mode(struct machine *m, unsigned cpl)
{
	struct kvm_segment data = { .limit = UINT32_MAX, .type = 3,
				    .present = 1, .db = 1, .s = 1, .g = 1,
				    .dpl = (uint8_t)cpl,
				    .selector = (uint16_t)(0x10 | cpl) };
	struct kvm_segment text = data;
	struct kvm_sregs s;

	text.selector = (uint16_t)(0x08 | cpl);
	text.type = 11;
	text.db = 0;
	text.l = 1;
	if (ioctl(m->vcpu, KVM_GET_SREGS, &s))
		return -errno;
	s.cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
	s.cr3 = PML4;
	s.cr4 = 0x20;	/* PAE */
	s.efer = 0x500; /* LMA, LME */
	s.cs = text;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	return ioctl(m->vcpu, KVM_SET_SREGS, &s) ? -errno : 0;
}

/* Nanoseconds for @loops, or a negative errno. */
static int64_t run_loop(struct machine *m, unsigned loops)
{
	struct kvm_regs r = { .rip = CODE, .rsp = STACK, .rcx = loops,
			      .rflags = 0x3002 }; /* IOPL 3: OUT at CPL3 */
	uint64_t start;

	if (ioctl(m->vcpu, KVM_SET_REGS, &r))
		return -errno;
	start = r3_now_ns();
	if (ioctl(m->vcpu, KVM_RUN, 0))
		return -errno;
	if (m->run->exit_reason != KVM_EXIT_IO ||
	    m->run->io.port != EXIT_PORT)
		return -EIO;
	return (int64_t)r3_max(r3_now_ns() - start, 1);
}

static int measure(struct machine *m, unsigned cpl, uint64_t *out)
{
	unsigned loops = LOOPS_FEW;
	int64_t ns = set_mode(m, cpl);

	if (!ns)
		ns = run_loop(m, loops);
	/* fast: long enough to be worth a figure */
	if (ns > 0 && ns < 10 * (int64_t)R3_NS_PER_MS) {
		loops = LOOPS_MANY;
		ns = set_mode(m, cpl);
		if (!ns)
			ns = run_loop(m, loops);
	}
	if (ns < 0)
		return (int)ns;
	*out = (uint64_t)((double)loops * LOOP_INSTRUCTIONS * R3_NS_PER_S /
			  (double)ns);
	return 0;
}

void r3_kvm_measure(struct r3_kvm_speed *out)
{
	struct machine m;

	*out = (struct r3_kvm_speed){ 0 };
	out->err = open_machine(&m);
	if (!out->err)
		out->err = measure(&m, 0, &out->kernel);
	if (!out->err && measure(&m, 3, &out->user))
		out->user = 0; /* only kernel code decides */
	close_machine(&m);
}
