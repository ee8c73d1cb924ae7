// SPDX-License-Identifier: GPL-2.0-or-later
/* report.c - what the supervisor tells: causes of death, status, crashes */
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"
#include "symbol.h"

static const char *signal_name(int signal)
{
	const char *name = sigabbrev_np(signal);

	return name ? name : "?";
}

static void refused_call(char *to, int nr)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

	snprintf(to, SUP_CAUSE_LEN, "fault SIGSYS: %s (system call %d) is not "
		 "on its list", name ? name : "?", nr);
	free(name);
}

const char *sup_cause(struct sup_unit *u, int code, int status,
		      const struct r3_crash *crash)
{
	char *to = u->cause;

	if (u->life.hung)
		snprintf(to, SUP_CAUSE_LEN, "hang: %s",
			 u->life.ready_ns ? "no heartbeat" : "never ready");
	else if (crash && crash->valid && crash->signal == SIGSYS)
		refused_call(to, crash->call);
	else if (crash && crash->valid)
		snprintf(to, SUP_CAUSE_LEN, "fault SIG%s at 0x%llx ip=0x%llx",
			 signal_name(crash->signal),
			 (unsigned long long)crash->addr,
			 (unsigned long long)crash->ip);
	else if (code != CLD_EXITED)
		snprintf(to, SUP_CAUSE_LEN, "signal SIG%s",
			 signal_name(status));
	else if (crash && crash->signal && status == 128 + crash->signal)
		snprintf(to, SUP_CAUSE_LEN, "signal SIG%s",
			 signal_name(crash->signal));
	else
		snprintf(to, SUP_CAUSE_LEN, "exit %d", status);
	return to;
}

/* ---- status ------------------------------------------------------------- */

void sup_rates(struct sup *sup)
{
	uint64_t now = r3_now_ns();
	double s = (double)(now - sup->tick_ns) / R3_NS_PER_S;

	sup->tick_ns = now;
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		struct sup_server *v = &sup->servers[i];
		struct r3_stats new = v->page->stats;

		if (s <= 0)
			return;
		v->requests_s = (double)(new.requests - v->last.requests) / s;
		v->bytes_s = (double)(new.bytes_read + new.bytes_written -
				      v->last.bytes_read -
				      v->last.bytes_written) / s;
		v->last = new;
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static json_t *restart_times(const struct sup_unit *u)
{
	uint32_t v[SUP_SAMPLES];
	unsigned n = (unsigned)r3_min(u->took_count, SUP_SAMPLES);

	if (!n)
		return json_null();
	memcpy(v, u->took_us, n * sizeof(*v));
	qsort(v, n, sizeof(*v), by_size);
	return json_pack("{s:i, s:I, s:I}", "count", (int)n, "median_us",
			 (json_int_t)v[n / 2], "max_us",
			 (json_int_t)v[n - 1]);
}

static json_t *unit_status(const struct sup_unit *u)
{
	bool up = u->life.state == LIFE_UP;
	uint64_t up_ms = up ? (r3_now_ns() - u->life.ready_ns) / R3_NS_PER_MS :
			      0;

	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:s, s:o}",
			 "name", u->name,
			 "state", life_state_name(u->life.state),
			 "pid", (int)u->pid,
			 "restarts", (int)u->restarts,
			 "uptime_ms", (json_int_t)up_ms,
			 "last_death", u->cause,
			 "restart_time", restart_times(u));
}

/* What it drives, as the configuration says, or "". */
static const char *device_of(const struct sup_server *s)
{
	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		const struct r3_node_opt *o = &s->plan->opts[i];

		if (o->kind == R3_NODE_SOCKET || o->kind == R3_NODE_PCI)
			return o->value;
	}
	return "";
}

/* A path may be no UTF-8, which JSON can't say. */
static json_t *text(const char *s)
{
	json_t *o = json_string(s);

	return o ? o : json_string("(not UTF-8)");
}

static json_t *server_status(const struct sup_server *s)
{
	struct r3_stats st = s->page->stats;
	json_t *o = unit_status(&s->unit);
	json_t *more = json_pack(
		"{s:s, s:s, s:o, s:s, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:i}",
		"kind", s->plan->kind, "type", s->plan->type,
		"device", text(device_of(s)), "status", s->status,
		"requests_per_s", s->requests_s, "bytes_per_s", s->bytes_s,
		"requests", (json_int_t)st.requests,
		"errors", (json_int_t)st.errors,
		"bytes_read", (json_int_t)st.bytes_read,
		"bytes_written", (json_int_t)st.bytes_written,
		"clients", (json_int_t)st.clients,
		"clients_refused", (json_int_t)st.clients_refused,
		"resubmitted", (json_int_t)st.resubmitted,
		"quarantined", (json_int_t)st.quarantined,
		"resets", (json_int_t)st.resets,
		"dma_faults", (json_int_t)s->dma_faults,
		"kept_fds", (int)s->kept_count);

	if (o && more)
		json_object_update(o, more);
	json_decref(more);
	return o;
}

static json_t *guest_status(const struct sup_guest *g)
{
	json_t *o = unit_status(&g->unit);

	if (o) {
		json_object_set_new(o, "engine", json_string(g->plan->engine));
		json_object_set_new(o, "disk", json_string(
			g->plan->disk ? g->plan->disk : ""));
	}
	return o;
}

json_t *sup_status(struct sup *sup)
{
	json_t *servers = json_array(), *guests = json_array();
	uint64_t up = (r3_now_ns() - sup->start_ns) / R3_NS_PER_MS;

	for (unsigned i = 0; i < sup->node->server_count; i++)
		json_array_append_new(servers,
				      server_status(&sup->servers[i]));
	for (unsigned i = 0; i < sup->node->guest_count; i++)
		json_array_append_new(guests, guest_status(&sup->guests[i]));
	return json_pack("{s:s, s:i, s:I, s:b, s:o, s:o}",
			 "node", sup->node->name, "pid", (int)getpid(),
			 "uptime_ms", (json_int_t)up,
			 "stopping", sup->stopping,
			 "servers", servers, "guests", guests);
}

/* ---- crash reports ------------------------------------------------------ */

static void add_frame(json_t *trace, uint64_t addr, const char *name)
{
	char text[SYMBOL_LEN + 32];

	snprintf(text, sizeof(text), "0x%llx%s%.79s",
		 (unsigned long long)addr, *name ? " " : "", name);
	json_array_append_new(trace, json_string(text));
}

/* Where it was, then who called that. */
static json_t *trace_of(const char *program, const struct r3_crash *c)
{
	uint64_t addrs[1 + R3_COUNT(c->trace)] = { c->ip };
	char names[R3_COUNT(addrs)][SYMBOL_LEN];
	json_t *trace = json_array();
	unsigned n = 1;

	for (; n < R3_COUNT(addrs) && c->trace[n - 1]; n++)
		addrs[n] = c->trace[n - 1];
	if (!c->ip)
		return trace;
	symbol_names(program, addrs, n, names);
	for (unsigned i = 0; i < n; i++)
		add_frame(trace, addrs[i], names[i]);
	return trace;
}

static json_t *crash_report(const struct sup_server *s,
			    const struct sup_unit *last,
			    const struct r3_crash *c)
{
	char addr[32], ip[32];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(addr, sizeof(addr), "0x%llx", (unsigned long long)c->addr);
	snprintf(ip, sizeof(ip), "0x%llx", (unsigned long long)c->ip);
	return json_pack(
		"{s:s, s:o, s:i, s:I, s:s, s:i, s:i, s:i, s:s, s:s, s:o, s:I,"
		" s:i}",
		"server", s->unit.name, "program", text(s->plan->program),
		"pid", (int)last->pid, "time_s", (json_int_t)now.tv_sec,
		"cause", last->cause, "signal", c->signal, "code", c->code,
		"call", c->call, "address", addr, "ip", ip,
		"trace", trace_of(s->plan->program, c), "lived_ms",
		(json_int_t)((last->ended_ns - last->life.born_ns) /
			     R3_NS_PER_MS),
		"restarts", (int)last->restarts);
}

/* crash/NN/report.json, NN going round: the newest SUP_CRASHES are there. */
void sup_crash(struct sup_server *s, const struct sup_unit *last,
	       const struct r3_crash *crash)
{
	struct sup *sup = s->unit.sup;
	json_t *report = crash_report(s, last, crash);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "crash/%02u", sup->crashes % SUP_CRASHES);
	mkdirat(sup->dir, path, 0700);
	strcat(path, "/report.json");
	fd = openat(sup->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (!report || fd < 0 || json_dumpfd(report, fd, JSON_INDENT(2)))
		r3_log(R3_WARN, "node", s->unit.name, "no crash report: %m");
	else
		r3_log(R3_INFO, "node", s->unit.name, "crash report in "
		       "%s/%s", sup->node->rundir, path);
	if (fd >= 0)
		close(fd);
	json_decref(report);
	sup->crashes++;
}
