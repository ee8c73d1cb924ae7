// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_doctor.c - ring3 doctor: what this machine has, lacks, needs */
#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd_node.h"

#define TEXT_LEN 256

/* What a line says about the machine. */
enum grade {
	GOOD,
	LESS,	/* works, slower or with less isolation */
	LACKS,	/* something can't be used at all */
};

struct finding {
	const char *name;
	enum grade grade;
	char is[TEXT_LEN];	/* how it is */
	char advice[TEXT_LEN];	/* what to do; "" when all is well */
	json_t *figures;	/* more for --json, or NULL */
};

const struct r3_opt node_cli_doctor_opts[] = {
	{ .name = "json", .letter = 'j', .help = "print JSON" },
	{ 0 },
};

static void say(struct finding *f, enum grade grade, const char *is,
		const char *advice)
{
	f->grade = grade;
	snprintf(f->is, sizeof(f->is), "%s", is);
	snprintf(f->advice, sizeof(f->advice), "%s", advice);
}

/* ---- virtual machines --------------------------------------------------- */

static void look_kvm(struct finding *f)
{
	struct r3_kvm_speed v;

	r3_kvm_measure(&v);
	if (v.err == -ENOENT) {
		say(f, LESS, "no /dev/kvm", "load kvm_intel or kvm_amd, or "
		    "switch on nested virtualisation; guests use tcg");
	} else if (v.err == -EACCES) {
		say(f, LESS, "/dev/kvm may not be opened", "join the group "
		    "kvm, then log in again; guests use tcg");
	} else if (v.err) {
		snprintf(f->is, sizeof(f->is), "/dev/kvm does not run code: "
			 "%s", strerror(-v.err));
		f->grade = LESS;
		snprintf(f->advice, sizeof(f->advice), "guests use tcg");
	} else {
		f->grade = v.kernel >= R3_KVM_FAST ? GOOD : LESS;
		snprintf(f->is, sizeof(f->is), "%.1f M instructions a second "
			 "in kernel mode, %.1f M in user mode",
			 (double)v.kernel / 1e6, (double)v.user / 1e6);
		if (f->grade != GOOD)
			snprintf(f->advice, sizeof(f->advice), "kernel mode is "
				 "emulated here: 'engine = auto' takes tcg, "
				 "which boots faster");
		f->figures = json_pack("{s:I, s:I}", "kernel_per_s",
				       (json_int_t)v.kernel, "user_per_s",
				       (json_int_t)v.user);
	}
}

static bool find_program(const char *name, char *file, size_t room)
{
	const char *path = getenv("PATH");
	char dirs[4096], *save;

	snprintf(dirs, sizeof(dirs), "%s", path ? path : "/usr/bin:/bin");
	for (char *d = strtok_r(dirs, ":", &save); d;
	     d = strtok_r(NULL, ":", &save)) {
		snprintf(file, room, "%s/%s", d, name);
		if (!access(file, X_OK))
			return true;
	}
	return false;
}

static void look_qemu(struct finding *f)
{
	char file[4200];

	if (find_program("qemu-system-x86_64", file, sizeof(file))) {
		snprintf(f->is, sizeof(f->is), "%.200s", file);
		return;
	}
	say(f, LACKS, "no qemu-system-x86_64",
	    "apt install qemu-system-x86; until then a node has no guests");
}

/* ---- devices ------------------------------------------------------------ */

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir)))
		n += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void look_iommu(struct finding *f)
{
	unsigned n = entries("/sys/kernel/iommu_groups");

	f->figures = json_pack("{s:i}", "groups", (int)n);
	snprintf(f->is, sizeof(f->is), "%u groups", n);
	if (n)
		return;
	say(f, LACKS, "no IOMMU groups", "switch on VT-d or AMD-Vi in the "
	    "firmware, boot with intel_iommu=on; emulated devices need none");
}

static void look_vfio(struct finding *f)
{
	bool core = !access("/dev/vfio/vfio", F_OK);
	bool pci = !access("/sys/bus/pci/drivers/vfio-pci", F_OK);

	if (core && pci)
		say(f, GOOD, "vfio-pci is there", "");
	else
		say(f, LACKS, core ? "no vfio-pci" : "no /dev/vfio/vfio",
		    "modprobe vfio-pci, then 'ring3 device bind'; emulated "
		    "devices need none");
}

static void look_node(struct finding *f, const char *path, const char *advice,
		      const char *more)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		say(f, GOOD, "may be opened", "");
		return;
	}
	snprintf(f->is, sizeof(f->is), "%s: %s", path, strerror(errno));
	f->grade = LACKS;
	snprintf(f->advice, sizeof(f->advice), "%s%s%s",
		 errno == EACCES ? "its rights: chmod 0666 or a udev rule" :
		 advice, *more ? "; " : "", more);
}

static void look_tap(struct finding *f)
{
	look_node(f, "/dev/net/tun", "modprobe tun",
		  "needed for a network that reaches the host");
}

static void look_fuse(struct finding *f)
{
	char file[4200];

	look_node(f, "/dev/fuse", "modprobe fuse",
		  "needed to mount file systems");
	if (f->grade == GOOD && geteuid() &&
	    !find_program("fusermount3", file, sizeof(file)))
		say(f, LACKS, "no fusermount3",
		    "apt install fuse3; without it only root mounts");
}

/* ---- memory ------------------------------------------------------------- */

static void look_huge(struct finding *f)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long n = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "HugePages_Total: %lu", &n) == 1)
			break;
	}
	if (file)
		fclose(file);
	snprintf(f->is, sizeof(f->is), "%lu huge pages", n);
	if (n)
		return;
	f->grade = LESS;
	snprintf(f->advice, sizeof(f->advice), "echo 512 > /proc/sys/vm/"
		 "nr_hugepages gives guests faster memory; not needed");
}

static void look_memlock(struct finding *f)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r))
		return;
	if (r.rlim_max == RLIM_INFINITY) {
		say(f, GOOD, "unlimited", "");
		return;
	}
	snprintf(f->is, sizeof(f->is), "%llu MiB",
		 (unsigned long long)(r.rlim_max / R3_MIB));
	f->figures = json_pack("{s:I}", "bytes", (json_int_t)r.rlim_max);
	if (r.rlim_max >= 4 * R3_GIB)
		return;
	f->grade = LESS;
	snprintf(f->advice, sizeof(f->advice), "a device on VFIO pins its "
		 "clients' memory: raise the limit (ulimit -l, limits.conf, "
		 "LimitMEMLOCK=)");
}

/* ---- the kernel's isolation --------------------------------------------- */

static void look_uring(struct finding *f)
{
	struct io_uring_params p = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

	if (fd >= 0) {
		close(fd);
		say(f, GOOD, "may be used", "");
		return;
	}
	snprintf(f->is, sizeof(f->is), "io_uring: %s", strerror(errno));
	f->grade = LACKS;
	snprintf(f->advice, sizeof(f->advice), "sysctl kernel.io_uring_"
		 "disabled=0; emulated disks need it");
}

static void look_landlock(struct finding *f)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);

	if (abi > 0) {
		snprintf(f->is, sizeof(f->is), "ABI %ld", abi);
		f->figures = json_pack("{s:i}", "abi", (int)abi);
		return;
	}
	say(f, LESS, "not there", "boot with lsm=landlock,... (Linux 5.13); "
	    "namespaces and system call lists remain");
}

static void look_userns(struct finding *f)
{
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET |
			      CLONE_NEWPID) ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		say(f, GOOD, "may be made", "");
		return;
	}
	snprintf(f->is, sizeof(f->is), "can't be made: %s",
		 strerror(WEXITSTATUS(status)));
	f->grade = LESS;
	snprintf(f->advice, sizeof(f->advice), "sysctl kernel.unprivileged_"
		 "userns_clone=1, user.max_user_namespaces, or AppArmor's "
		 "rule; servers of an ordinary user are isolated less");
}

static void look_seccomp(struct finding *f)
{
	uint32_t action = SECCOMP_RET_TRAP;

	if (!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		say(f, GOOD, "filters work", "");
	else
		say(f, LACKS, "no filters", "a kernel with CONFIG_SECCOMP_"
		    "FILTER is needed: servers don't start without");
}

/* ---- all of it ---------------------------------------------------------- */

static const struct {
	const char *name;
	void (*look)(struct finding *f);
} checks[] = {
	{ "kvm", look_kvm },
	{ "qemu", look_qemu },
	{ "iommu", look_iommu },
	{ "vfio", look_vfio },
	{ "tap", look_tap },
	{ "fuse", look_fuse },
	{ "hugepages", look_huge },
	{ "memlock", look_memlock },
	{ "io_uring", look_uring },
	{ "landlock", look_landlock },
	{ "namespaces", look_userns },
	{ "seccomp", look_seccomp },
};

static const char *const grades[] = {
	[GOOD] = "ok", [LESS] = "less", [LACKS] = "missing",
};

static void print(const struct finding *f)
{
	printf("%-11s %-8s %s\n", f->name, grades[f->grade], f->is);
	if (*f->advice)
		printf("%20s -> %s\n", "", f->advice);
}

static json_t *as_json(struct finding *f)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", f->name,
			      "grade", grades[f->grade], "is", f->is,
			      "advice", f->advice);

	if (o && f->figures)
		json_object_update(o, f->figures);
	return o;
}

int node_cli_doctor(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json") != NULL;
	json_t *all = json_array(), *o;

	for (unsigned i = 0; i < R3_COUNT(checks); i++) {
		struct finding f = { .name = checks[i].name };

		checks[i].look(&f);
		if (json)
			json_array_append_new(all, as_json(&f));
		else
			print(&f);
		json_decref(f.figures);
	}
	if (json) {
		o = json_pack("{s:o}", "findings", all);
		node_cli_print_json(o);
		json_decref(o);
	} else {
		json_decref(all);
	}
	return R3_EXIT_OK;
}
