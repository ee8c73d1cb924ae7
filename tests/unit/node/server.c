// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server.c - a server that misbehaves on request
 *
 * Each connection carries one line: a verb, and gets one line back.  What it
 * kept over its death it can show: an fd (a memory file), and its page.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "ring3/server.h"
#include "spec.h"

static struct r3_server *server;
static struct r3_watch listen_watch;
static unsigned *counter; /* in the kept page */
static volatile sig_atomic_t refused;
static int *volatile nowhere = (int *)16;

static void deep(volatile char *p)
{
	volatile char room[4096];

	room[0] = *p;
	if (*p != 1) /* never: nobody writes it */
		deep(room);
	*p = room[0];
}

/* ---- what the sandbox must refuse --------------------------------------- */

/* The filter's SIGSYS: note it, and let the call return -ENOSYS. */
static void on_sigsys(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	refused = 1;
}

#define TRY(what, call)                                                   \
	do {                                                              \
		long r_;                                                  \
		refused = 0;                                              \
		errno = 0;                                                \
		r_ = (long)(call);                                        \
		len += (size_t)snprintf(out + len, room - len, "%s=%s ",  \
				what, refused ? "refused" :               \
				r_ < 0 ? "failed" : "ALLOWED");           \
	} while (0)

static void probe(char *out, size_t room)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys,
				.sa_flags = SA_SIGINFO };
	size_t len = 0;

	sigaction(SIGSYS, &sa, NULL);
	TRY("open", syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY));
	TRY("socket", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
	TRY("inet", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
	TRY("ptrace", syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
	TRY("fork", syscall(SYS_fork));
	TRY("clone", syscall(SYS_clone, 0, 0, 0, 0, 0));
	TRY("execve", syscall(SYS_execve, "/bin/sh", NULL, NULL));
	TRY("kill", syscall(SYS_kill, 1, 0));
	TRY("tgkill", syscall(SYS_tgkill, 2, 2, 0));
	TRY("mount", syscall(SYS_mount, "a", "/", "tmpfs", 0, NULL));
	TRY("unshare", syscall(SYS_unshare, 0));
	TRY("setns", syscall(SYS_setns, 3, 0));
	TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	TRY("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0,
					NULL, 0, 0));
	TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	TRY("ioctl", syscall(SYS_ioctl, 2, 0x5401, NULL));
	TRY("prctl", syscall(SYS_prctl, PR_GET_DUMPABLE));
	TRY("mmap_exec", syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	TRY("setuid", syscall(SYS_setuid, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
}

/* Before READY only what the supervisor took away is gone. */
static char early[2048];

static void look_around(int argc, char **argv, char **env)
{
	struct stat st;
	unsigned envs = 0, fds = 0;
	char text[64] = "", *p;
	int fd;

	(void)argc;
	(void)argv;
	for (; env[envs]; envs++)
		;
	for (fd = 0; fd < 1024; fd++)
		fds += fcntl(fd, F_GETFD) >= 0;
	fd = open("/proc/self/status", O_RDONLY);
	p = early + sprintf(early, "env=%u fds=%u pid=%d uid=%d proc=%s ",
			    envs, fds, getpid(), getuid(),
			    fd < 0 ? "none" : "seen");
	if (fd >= 0)
		close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	if (fd >= 0) {
		char room[1024];
		long n = syscall(SYS_getdents64, fd, room, sizeof(room));

		close(fd);
		/* "." and ".." take 24 bytes each */
		p += sprintf(p, "root=%s ", n <= 48 ? "empty" : "FULL");
	}
	fd = open("/file", O_CREAT | O_WRONLY, 0600);
	p += sprintf(p, "create=%s ", fd < 0 ? "failed" : "ALLOWED");
	p += sprintf(p, "etc=%s ", stat("/etc/passwd", &st) ? "none" : "SEEN");
	p += sprintf(p, "nnp=%d ", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	p += sprintf(p, "bound=%d ", prctl(PR_CAPBSET_READ, 21, 0, 0, 0));
	gethostname(text, sizeof(text) - 1);
	sprintf(p, "host=%s ", text);
}

/* ---- verbs -------------------------------------------------------------- */

static void spin_for_ever(void)
{
	volatile unsigned n = 0;

	for (;;)
		n++;
}

static void keep(char *out, size_t room)
{
	int fd = r3_memfd("kept", 4096);

	if (fd >= 0 && pwrite(fd, "kept", 4, 0) == 4 &&
	    !r3_server_keep_fd(server, "memory", fd))
		snprintf(out, room, "ok");
	close(fd);
}

static int given = -1; /* with the line */

/* Hand over what the caller gave, as a server does with a client's fds. */
static int keep_given(void)
{
	int err = r3_server_keep_fd(server, "given", given);

	close(given);
	given = -1;
	return err;
}

/* More words than fit into the socket of a supervisor that is stopped. */
static void chatter(void)
{
	for (unsigned i = 0; i < 2000; i++)
		r3_server_status(server, "word %u", i);
}

static void show_kept(char *out, size_t room)
{
	char text[5] = "";
	int fd = r3_server_kept_fd(server, "memory");

	if (fd < 0 || pread(fd, text, 4, 0) != 4)
		strcpy(text, "none");
	if (fd >= 0)
		close(fd);
	snprintf(out, room, "%s", text);
}

static unsigned reopened;

static void on_reopened(void *arg, int fd)
{
	(void)arg;
	if (fd < 0)
		return;
	reopened++;
	close(fd);
}

static void obey(const char *verb, char *out, size_t room)
{
	static const char *const after[] = { "new", "exit", "kill", "fault",
					     "hang" };

	snprintf(out, room, "ok");
	if (!strcmp(verb, "pid"))
		snprintf(out, room, "%d", getpid());
	else if (!strcmp(verb, "after"))
		snprintf(out, room, "%s", after[r3_server_after(server)]);
	else if (!strcmp(verb, "early"))
		snprintf(out, room, "%s", early);
	else if (!strcmp(verb, "probe"))
		probe(out, room);
	else if (!strcmp(verb, "count"))
		snprintf(out, room, "%u", ++*counter);
	else if (!strcmp(verb, "keep"))
		keep(out, room);
	else if (!strcmp(verb, "kept"))
		show_kept(out, room);
	else if (!strcmp(verb, "give"))
		snprintf(out, room, "%s", keep_given() ? "failed" : "ok");
	else if (!strcmp(verb, "drop"))
		r3_server_drop_fd(server, "given");
	else if (!strcmp(verb, "chatter"))
		chatter();
	else if (!strcmp(verb, "reopen"))
		snprintf(out, room, "%s", r3_server_reopen(server, "device",
			on_reopened, NULL) ? "failed" : "ok");
	else if (!strcmp(verb, "reopened"))
		snprintf(out, room, "%u", reopened);
	else if (!strcmp(verb, "exit"))
		exit(7);
	else if (!strcmp(verb, "segv"))
		*nowhere = 1;
	else if (!strcmp(verb, "overflow"))
		deep(out);
	else if (!strcmp(verb, "abort"))
		abort();
	else if (!strcmp(verb, "assert"))
		assert(!"as asked");
	else if (!strcmp(verb, "open"))
		syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
	else if (!strcmp(verb, "hang"))
		spin_for_ever();
	else
		snprintf(out, room, "what?");
}

/* A line, and perhaps an fd. */
static ssize_t hear(int fd, char *line, size_t room)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { line, room };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;

	if (c)
		memcpy(&given, CMSG_DATA(c), sizeof(given));
	return n;
}

static void called(void *arg, uint32_t events)
{
	char line[128] = "", out[4096];
	int fd = accept4(r3_server_fd(server, "listen"), NULL, NULL,
			 SOCK_CLOEXEC);
	ssize_t n;

	(void)arg;
	(void)events;
	if (fd < 0)
		return;
	/* who only connects, as a user of a device does, gets nothing */
	n = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100) == 1 ?
		    hear(fd, line, sizeof(line) - 1) : 0;
	if (n > 0) {
		line[strcspn(line, "\n")] = 0;
		r3_server_stats(server)->requests++;
		obey(line, out, sizeof(out) - 1);
		strcat(out, "\n");
		send(fd, out, strlen(out), MSG_NOSIGNAL);
	}
	close(fd);
}

static void start_as_told(void)
{
	const char *how = r3_server_str(server, "start");

	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "hang"))
		spin_for_ever();
}

int main(int argc, char **argv, char **env)
{
	size_t len;
	int err;
	const struct r3_server_spec *spec = &test_server_spec;
	size_t name_len = strlen(argv[0]);

	look_around(argc, argv, env);
	if (name_len > 5 && !strcmp(argv[0] + name_len - 5, "-user"))
		spec = &test_user_spec;
	err = r3_server_open(&server, spec, argc, argv);
	if (err)
		return err == -EINVAL ? 2 : 1;
	if (spec == &test_server_spec)
		start_as_told();
	counter = r3_server_page(server, &len);
	err = r3_loop_watch(r3_server_loop(server), &listen_watch,
			    r3_server_fd(server, "listen"), EPOLLIN, called,
			    NULL);
	if (!err)
		err = r3_server_ready(server);
	if (err)
		return 1;
	r3_server_status(server, "counted %u", *counter);
	err = r3_server_run(server);
	r3_server_close(server);
	return err;
}
