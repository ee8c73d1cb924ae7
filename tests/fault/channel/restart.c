// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * restart.c - kill the back end at random instants under load
 *
 *	restart split|packed resume|reconnect KILLS
 *
 * Three processes: a back end that is killed (SIGKILL) every few
 * milliseconds, a client that checks every byte, and between them a keeper
 * like the supervisor.  resume: what the back end had kept is given to its
 * next life, the client notices nothing.  reconnect: nothing is kept, the
 * client connects again with its inflight region.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blk_client.h"
#include "ramdisk.h"

#define DISK_LEN (16 * R3_MIB)
#define KEPT_MAX 64

/* Seen by all three. */
struct shared {
	uint8_t page[R3_VUB_PAGE_LEN];
	volatile bool stop;
	volatile uint64_t lives, resumed, stale, replayed;
};

struct keeper {
	char name[64];
	int fd; /* -1: free */
};

static struct shared *shared;
static struct keeper kept[KEPT_MAX]; /* the parent's; children have a copy */
static int control[2];		     /* child -> parent */
static int listener;
static uint8_t *disk;
static char path[64];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the keeper's two halves --------------------------------------------- */

static void tell(char verb, const char *name, int fd)
{
	char text[72], control_buf[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = text };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	iov.iov_len = (size_t)snprintf(text, sizeof(text), "%c%s", verb, name)
		      + 1;
	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)control_buf;

		msg.msg_control = control_buf;
		msg.msg_controllen = sizeof(control_buf);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(control[1], &msg, 0) < 0)
		die("tell");
}

static int keep_fd(void *arg, const char *name, int fd)
{
	(void)arg;
	tell('K', name, fd);
	return 0;
}

static void drop_fd(void *arg, const char *name)
{
	(void)arg;
	tell('D', name, -1);
}

static int kept_fd(void *arg, const char *name)
{
	(void)arg;
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		if (kept[i].fd >= 0 && !strcmp(kept[i].name, name))
			return dup(kept[i].fd);
	}
	return -1;
}

static struct keeper *find_kept(const char *name)
{
	struct keeper *free = NULL;

	for (unsigned i = 0; i < KEPT_MAX; i++) {
		if (kept[i].fd < 0)
			free = free ? free : &kept[i];
		else if (!strcmp(kept[i].name, name))
			return &kept[i];
	}
	return free;
}

/* The parent: what the back end said, as long as it lived. */
static void hear(void)
{
	char text[72], control_buf[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };

	for (;;) {
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
				      .msg_control = control_buf,
				      .msg_controllen = sizeof(control_buf) };
		struct keeper *k;

		if (recvmsg(control[0], &msg, MSG_DONTWAIT) <= 0)
			return;
		k = find_kept(text + 1);
		if (!k)
			die("too much kept");
		if (k->fd >= 0)
			close(k->fd);
		k->fd = -1;
		if (text[0] == 'K') {
			memcpy(&k->fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)),
			       sizeof(int));
			snprintf(k->name, sizeof(k->name), "%.60s", text + 1);
		}
	}
}

/* ---- the back end -------------------------------------------------------- */

static void accept_one(void *arg, uint32_t events)
{
	struct ramdisk *d = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	/* one client; its old connection may not be closed here yet */
	if (d->vub)
		r3_vub_close(d->vub);
	ramdisk_accept(d, fd);
}

static void back_end(bool resume)
{
	static const struct r3_vub_keeper base = {
		.keep_fd = keep_fd, .drop_fd = drop_fd, .kept_fd = kept_fd,
		.prefix = "c",
	};
	struct r3_vub_keeper keeper = base;
	static struct ramdisk d;
	struct r3_watch w = { 0 };
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom((unsigned)getpid());
	keeper.page = shared->page;
	d.data = disk;
	d.len = DISK_LEN;
	d.batch = RAMDISK_BATCH;
	if (resume)
		d.keeper = &keeper;
	if (r3_loop_open(&d.loop))
		die("loop");
	if (random() % 2)
		ramdisk_poll(&d, 20);
	shared->lives++;
	err = resume ? ramdisk_resume(&d) : -ENOENT;
	shared->resumed += !err;
	shared->stale += err == -ESTALE;
	shared->replayed += d.replayed;
	if (r3_loop_watch(d.loop, &w, listener, EPOLLIN, accept_one, &d))
		die("watch");
	exit(r3_loop_run(d.loop) ? 1 : 0);
}

static pid_t spawn(bool resume)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		back_end(resume);
	return pid;
}

/* ---- the client ---------------------------------------------------------- */

static int client(bool packed)
{
	struct r3_vuf_config config = {
		.path = path,
		.features = R3_VQ_FEATURES & ~R3_VQ_F_PACKED,
		.required = R3_VQ_F_VERSION_1 | (packed ? R3_VQ_F_PACKED : 0),
		.queues = 2,
		.queue_size = 64,
		.indirect_max = BLK_PER_RQ + 2,
	};
	static struct blk_client c;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		err = blk_client_open(&c, &config, 16, 0);
	} while (err == -ECONNREFUSED || err == -EPIPE || err == -ECONNRESET);
	while (!err && !shared->stop)
		err = blk_client_run(&c, 1000, 0);
	if (!err)
		err = blk_client_check(&c);
	printf("%llu requests, %llu reconnects, every byte %s%s\n",
	       (unsigned long long)c.completed,
	       (unsigned long long)c.reconnects,
	       err ? strerror(-err) : "right",
	       c.wrong ? c.wrong : "");
	return err ? 1 : 0;
}

static void nap_ms(unsigned ms, unsigned random_ms)
{
	uint64_t ns = ms * R3_NS_PER_MS +
		      (uint64_t)random() % (random_ms * R3_NS_PER_MS);

	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

static void make_listener(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/r3-restart-%d", getpid());
	strcpy(sa.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  0);
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(listener, 8) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control))
		die("listen");
}

static void *share(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

int main(int argc, char **argv)
{
	bool packed, resume;
	siginfo_t gone = { 0 };
	pid_t back, front;
	int kills, status = 0;

	if (argc != 4)
		return 2;
	packed = !strcmp(argv[1], "packed");
	resume = !strcmp(argv[2], "resume");
	kills = atoi(argv[3]);
	for (unsigned i = 0; i < KEPT_MAX; i++)
		kept[i].fd = -1;
	shared = share(sizeof(*shared));
	disk = share(DISK_LEN);
	make_listener();
	back = spawn(resume);
	front = fork();
	if (!front)
		exit(client(packed));
	for (int i = 0; i < kills; i++) {
		nap_ms(1, 12);
		hear();
		kill(back, SIGKILL);
		waitpid(back, NULL, 0);
		hear();
		back = spawn(resume);
		if (waitid(P_PID, (id_t)front, &gone,
			   WEXITED | WNOHANG | WNOWAIT) || gone.si_pid)
			break;
	}
	shared->stop = true;
	/* a client that connects again needs a keeper that listens */
	while (!waitpid(front, &status, WNOHANG)) {
		hear();
		nap_ms(1, 1);
	}
	kill(back, SIGKILL);
	waitpid(back, NULL, 0);
	unlink(path);
	printf("%d kills, %llu lives, %llu resumed, %llu stale, "
	       "%llu requests done again\n", kills,
	       (unsigned long long)shared->lives,
	       (unsigned long long)shared->resumed,
	       (unsigned long long)shared->stale,
	       (unsigned long long)shared->replayed);
	return status ? 1 : 0;
}
