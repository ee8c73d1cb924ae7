// SPDX-License-Identifier: GPL-2.0-or-later
/* plan.c - a plan is read as it was written, and nothing else is taken */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ring3/node.h"

#define HEAD   "node n\nrundir /run/x\n"
#define SERVER "server s\nkind model\ntype nvme\nprogram /bin/s\nhang_ms 10\n"
#define END    "end \n"

static const struct {
	const char *name, *text;
	int err;
} rows[] = {
	{ "smallest", HEAD SERVER END, 0 },
	{ "options", HEAD SERVER "opt a=b=c\nfile f=/x y\nlisten l=\n" END,
	  0 },
	{ "guest", HEAD "guest g\nengine tcg\narg qemu\narg \n" END, 0 },
	{ "empty", "", -EPROTO },
	{ "cut off", HEAD SERVER, -EPROTO },
	{ "cut off in a line", HEAD SERVER "opt a", -EPROTO },
	{ "no rundir", "node n\n" SERVER END, -EPROTO },
	{ "no program", HEAD "server s\nkind m\ntype t\nhang_ms 1\n" END,
	  -EPROTO },
	{ "a server without a name", HEAD "server \n" END, -EPROTO },
	{ "an option outside", HEAD "opt a=b\n" END, -EPROTO },
	{ "an option without '='", HEAD SERVER "opt a\n" END, -EPROTO },
	{ "an unknown word", HEAD SERVER "what is\n" END, -EPROTO },
	{ "not a number", HEAD SERVER "limit x\n" END, -EPROTO },
	{ "a number too large", HEAD SERVER "limit 4294967296\n" END,
	  -EPROTO },
	{ "a guest without a command", HEAD "guest g\n" END, -EPROTO },
};

static int read_text(const char *text, struct r3_node **out)
{
	FILE *f = fmemopen((char *)text, strlen(text) + !*text, "r");
	int err;

	assert_non_null(f);
	err = r3_node_plan_read(out, f);
	fclose(f);
	return err;
}

static void reads_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_node *node = NULL;
		int err = read_text(rows[i].text, &node);

		if (err != rows[i].err)
			fail_msg("%s: %d", rows[i].name, err);
		r3_node_free(node);
	}
}

static void writes_what_it_reads(void **state)
{
	static const char text[] = HEAD SERVER
		"limit 3\nopt a=b=c\nsocket d=vfio-user:/x\npci e=pci:y\n"
		"guest g\nengine kvm\ndisk s\narg q\narg a b\n" END;
	struct r3_node *node, *again;
	char *out = NULL;
	size_t len;
	FILE *f;

	(void)state;
	assert_int_equal(read_text(text, &node), 0);
	f = open_memstream(&out, &len);
	assert_non_null(f);
	assert_int_equal(r3_node_plan_write(node, f), 0);
	fclose(f);
	assert_int_equal(read_text(out, &again), 0);
	assert_string_equal(again->rundir, "/run/x");
	assert_int_equal(again->server_count, 1);
	assert_int_equal(again->servers[0].opt_count, 3);
	assert_int_equal(again->servers[0].limit, 3);
	assert_string_equal(again->servers[0].opts[0].value, "b=c");
	assert_int_equal(again->servers[0].opts[1].kind, R3_NODE_SOCKET);
	assert_int_equal(again->servers[0].opts[2].kind, R3_NODE_PCI);
	assert_int_equal(again->guests[0].arg_count, 2);
	assert_string_equal(again->guests[0].args[1], "a b");
	assert_null(again->guests[0].args[2]);
	assert_string_equal(again->guests[0].engine, "kvm");
	free(out);
	r3_node_free(node);
	r3_node_free(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_plans),
		cmocka_unit_test(writes_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
