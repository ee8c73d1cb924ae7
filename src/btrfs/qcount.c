// SPDX-License-Identifier: GPL-2.0-or-later
/* qcount.c - exact quota numbers of many subvolumes at once */
#include "qcount.h"
#include "ring3/vec.h"

enum { LEVELS = 9 }; /* data, then 0 to 7 */
/* Members of all sets together: 256 MiB.  Sets of honest images are few. */
#define MEMBERS_MAX (UINT64_C(1) << 26)

struct node {
	uint64_t bytes;
	uint32_t set; /* index in sets; 0: the empty set */
	int8_t level; /* -2: not known */
};

struct edge {
	uint32_t parent, child;
};

/* A set: members, ascending, as indices in subvols. */
struct set {
	uint64_t first; /* in members */
	uint32_t count;
	uint64_t hash;
	uint64_t bytes; /* of all nodes that have this set */
};

struct union_of {
	uint32_t a, b, result; /* a 0: free */
};

struct group {
	uint64_t id, rfer, excl;
	uint32_t stamp, members; /* while one set is counted */
};

struct relation {
	uint64_t member, group;
};

struct btrfs_qcount {
	VEC(struct node) nodes;
	VEC(struct edge) edges;
	VEC(uint64_t) subvols;
	VEC(uint32_t) root_nodes; /* beside subvols */
	VEC(struct relation) relations;
	VEC(struct set) sets;
	VEC(uint32_t) members;
	VEC(struct group) groups; /* by id */
	uint32_t *set_table;	  /* by hash; 0: free */
	size_t set_table_size;
	struct union_of *unions;
	size_t unions_size, unions_used;
};

#define NO_NODE UINT32_MAX

struct btrfs_qcount *btrfs_qcount_new(void)
{
	struct btrfs_qcount *q = calloc(1, sizeof(*q));

	if (q && !vec_push(&q->sets, (struct set){ 0 })) {
		free(q);
		return NULL;
	}
	return q;
}

void btrfs_qcount_free(struct btrfs_qcount *q)
{
	if (!q)
		return;
	vec_free(&q->nodes);
	vec_free(&q->edges);
	vec_free(&q->subvols);
	vec_free(&q->root_nodes);
	vec_free(&q->relations);
	vec_free(&q->sets);
	vec_free(&q->members);
	vec_free(&q->groups);
	free(q->set_table);
	free(q->unions);
	free(q);
}

bool btrfs_qcount_node(struct btrfs_qcount *q, uint32_t node, int level,
		       uint64_t bytes)
{
	while (q->nodes.n <= node) {
		if (!vec_push(&q->nodes, (struct node){ .level = -2 }))
			return false;
	}
	q->nodes.p[node].level = (int8_t)level;
	q->nodes.p[node].bytes = bytes;
	return true;
}

bool btrfs_qcount_edge(struct btrfs_qcount *q, uint32_t parent, uint32_t child)
{
	return vec_push(&q->edges, (struct edge){ parent, child });
}

bool btrfs_qcount_root(struct btrfs_qcount *q, uint32_t node, uint64_t subvol)
{
	return vec_push(&q->subvols, subvol) && vec_push(&q->root_nodes, node);
}

bool btrfs_qcount_relation(struct btrfs_qcount *q, uint64_t member,
			   uint64_t group)
{
	return vec_push(&q->relations, (struct relation){ member, group });
}

/* ---- sets ---------------------------------------------------------------- */

static uint64_t set_hash(const uint32_t *m, uint32_t count)
{
	uint64_t h = count;

	for (uint32_t i = 0; i < count; i++)
		h = (h ^ m[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static bool grow_set_table(struct btrfs_qcount *q)
{
	size_t size = q->set_table_size ? q->set_table_size * 2 : 1024;
	uint32_t *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (uint32_t i = 1; i < q->sets.n; i++) {
		size_t at = q->sets.p[i].hash & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = i;
	}
	free(q->set_table);
	q->set_table = table;
	q->set_table_size = size;
	return true;
}

/* The set whose members are the last @count of members; 0: no memory. */
static uint32_t intern(struct btrfs_qcount *q, uint32_t count)
{
	uint64_t first = q->members.n - count;
	const uint32_t *m = q->members.p + first;
	uint64_t hash = set_hash(m, count);
	size_t at;

	if (q->sets.n * 2 >= q->set_table_size && !grow_set_table(q))
		return 0;
	at = hash & (q->set_table_size - 1);
	for (; q->set_table[at]; at = (at + 1) & (q->set_table_size - 1)) {
		const struct set *s = &q->sets.p[q->set_table[at]];

		if (s->hash == hash && s->count == count &&
		    !memcmp(q->members.p + s->first, m, count * sizeof(*m))) {
			q->members.n = first;
			return q->set_table[at];
		}
	}
	if (!vec_push(&q->sets, (struct set){ first, count, hash, 0 }))
		return 0;
	return q->set_table[at] = (uint32_t)q->sets.n - 1;
}

static uint32_t merge(struct btrfs_qcount *q, uint32_t a, uint32_t b)
{
	struct set x = q->sets.p[a], y = q->sets.p[b];
	uint32_t i = 0, j = 0, count = 0;

	while (i < x.count || j < y.count) {
		/* read before pushing: the array may move */
		uint32_t m = i < x.count ? q->members.p[x.first + i]
					 : UINT32_MAX;
		uint32_t n = j < y.count ? q->members.p[y.first + j]
					 : UINT32_MAX;

		if (q->members.n >= MEMBERS_MAX ||
		    !vec_push(&q->members, m < n ? m : n))
			return 0;
		i += m <= n;
		j += n <= m;
		count++;
	}
	return intern(q, count);
}

static size_t union_slot(const struct union_of *table, size_t size, uint32_t a,
			 uint32_t b)
{
	uint64_t h = ((uint64_t)a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (h >> 20) & (size - 1);

	while (table[at].a && (table[at].a != a || table[at].b != b))
		at = (at + 1) & (size - 1);
	return at;
}

static bool grow_unions(struct btrfs_qcount *q)
{
	size_t size = q->unions_size ? q->unions_size * 2 : 1024;
	struct union_of *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < q->unions_size; i++) {
		const struct union_of *u = &q->unions[i];

		if (u->a)
			table[union_slot(table, size, u->a, u->b)] = *u;
	}
	free(q->unions);
	q->unions = table;
	q->unions_size = size;
	return true;
}

/* The union of two sets; 0 when memory is out, or when both are empty. */
static uint32_t unite(struct btrfs_qcount *q, uint32_t a, uint32_t b)
{
	uint32_t result;
	size_t at;

	if (a == b || !b)
		return a;
	if (!a)
		return b;
	if (a > b) {
		uint32_t t = a;

		a = b;
		b = t;
	}
	if (q->unions_used * 2 >= q->unions_size && !grow_unions(q))
		return 0;
	at = union_slot(q->unions, q->unions_size, a, b);
	if (q->unions[at].a)
		return q->unions[at].result;
	result = merge(q, a, b);
	if (result) {
		q->unions[at] = (struct union_of){ a, b, result };
		q->unions_used++;
	}
	return result;
}

bool btrfs_qcount_member(struct btrfs_qcount *q, uint64_t subvol)
{
	return btrfs_qcount_root(q, NO_NODE, subvol);
}

bool btrfs_qcount_set(struct btrfs_qcount *q, const uint32_t *members,
		      uint32_t count, uint32_t *set)
{
	for (uint32_t i = 0; i < count; i++) {
		if (q->members.n >= MEMBERS_MAX ||
		    !vec_push(&q->members, members[i]))
			return false;
	}
	*set = count ? intern(q, count) : 0;
	return *set || !count;
}

bool btrfs_qcount_unite(struct btrfs_qcount *q, uint32_t a, uint32_t b,
			uint32_t *set)
{
	*set = unite(q, a, b);
	return *set || (!a && !b);
}

const uint32_t *btrfs_qcount_members(const struct btrfs_qcount *q,
				     uint32_t set, uint32_t *count)
{
	*count = q->sets.p[set].count;
	return q->members.p + q->sets.p[set].first;
}

void btrfs_qcount_add(struct btrfs_qcount *q, uint32_t set, uint64_t bytes)
{
	q->sets.p[set].bytes += bytes;
}

/* ---- counting ------------------------------------------------------------ */

/* Sort edges by the level of the child, highest first. */
static bool sort_edges(struct btrfs_qcount *q)
{
	struct edge *sorted = malloc((q->edges.n + 1) * sizeof(*sorted));
	size_t start[LEVELS + 1] = { 0 };

	if (!sorted)
		return false;
	for (size_t i = 0; i < q->edges.n; i++)
		start[7 - q->nodes.p[q->edges.p[i].child].level + 1]++;
	for (int l = 1; l <= LEVELS; l++)
		start[l] += start[l - 1];
	for (size_t i = 0; i < q->edges.n; i++) {
		struct edge e = q->edges.p[i];

		sorted[start[7 - q->nodes.p[e.child].level]++] = e;
	}
	free(q->edges.p);
	q->edges.p = sorted;
	q->edges.room = q->edges.n + 1;
	return true;
}

/* Edges whose ends are not both known are dropped: a block that could not be
 * read has been reported already. */
static void drop_unknown(struct btrfs_qcount *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->edges.n; i++) {
		struct edge e = q->edges.p[i];

		if (e.parent < q->nodes.n && e.child < q->nodes.n &&
		    q->nodes.p[e.parent].level > q->nodes.p[e.child].level &&
		    q->nodes.p[e.child].level >= -1)
			q->edges.p[n++] = e;
	}
	q->edges.n = n;
}

static bool sets_of_nodes(struct btrfs_qcount *q)
{
	uint32_t set;

	for (uint32_t i = 0; i < q->subvols.n; i++) {
		struct node *n;

		if (q->root_nodes.p[i] == NO_NODE)
			continue;
		n = &q->nodes.p[q->root_nodes.p[i]];
		if (!vec_push(&q->members, i) || !(set = intern(q, 1)))
			return false;
		n->set = unite(q, n->set, set);
		if (!n->set)
			return false;
	}
	drop_unknown(q);
	if (!sort_edges(q))
		return false;
	for (size_t i = 0; i < q->edges.n; i++) {
		const struct node *p = &q->nodes.p[q->edges.p[i].parent];
		struct node *n = &q->nodes.p[q->edges.p[i].child];

		set = unite(q, n->set, p->set);
		if (!set && (n->set || p->set))
			return false;
		n->set = set;
	}
	for (size_t i = 0; i < q->nodes.n; i++)
		q->sets.p[q->nodes.p[i].set].bytes += q->nodes.p[i].bytes;
	return true;
}

static int group_cmp(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct group *group_find(const struct btrfs_qcount *q, uint64_t id)
{
	struct group key = { .id = id };

	return q->groups.n ? bsearch(&key, q->groups.p, q->groups.n,
				     sizeof(key), group_cmp) : NULL;
}

static bool collect_groups(struct btrfs_qcount *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->subvols.n; i++) {
		if (!vec_push(&q->groups,
			      (struct group){ .id = q->subvols.p[i] }))
			return false;
	}
	for (size_t i = 0; i < q->relations.n; i++) {
		if (!vec_push(&q->groups,
			      (struct group){ .id = q->relations.p[i].group }))
			return false;
	}
	if (q->groups.n)
		qsort(q->groups.p, q->groups.n, sizeof(*q->groups.p),
		      group_cmp);
	for (size_t i = 0; i < q->groups.n; i++) {
		if (!n || q->groups.p[n - 1].id != q->groups.p[i].id)
			q->groups.p[n++] = q->groups.p[i];
	}
	q->groups.n = n;
	return true;
}

static int relation_cmp(const void *a, const void *b)
{
	const struct relation *x = a, *y = b;

	if (x->member != y->member)
		return x->member < y->member ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

/* Every group that @id lies in, itself first, each once.  Relations go up in
 * level, so this ends. */
typedef VEC(uint32_t) index_vec;

static bool ancestors(const struct btrfs_qcount *q, uint64_t id,
		      index_vec *out)
{
	size_t begin = out->n;
	struct group *g = group_find(q, id);

	if (!vec_push(out, (uint32_t)(g - q->groups.p)))
		return false;
	for (size_t at = begin; at < out->n; at++) {
		uint64_t member = q->groups.p[out->p[at]].id;
		size_t lo = 0, hi = q->relations.n;

		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (q->relations.p[mid].member < member)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (; lo < q->relations.n &&
		       q->relations.p[lo].member == member; lo++) {
			uint64_t up = q->relations.p[lo].group;
			uint32_t index;
			size_t k = begin;

			if (up >> 48 <= member >> 48)
				continue;
			index = (uint32_t)(group_find(q, up) - q->groups.p);
			while (k < out->n && out->p[k] != index)
				k++;
			if (k == out->n && !vec_push(out, index))
				return false;
		}
	}
	return true;
}

/* Add one set's bytes to the groups that its members lie in. */
static void count_set(struct btrfs_qcount *q, uint32_t set,
		      const index_vec *up, const size_t *first)
{
	const struct set *s = &q->sets.p[set];

	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t m = q->members.p[s->first + i];

		for (size_t k = first[m]; k < first[m + 1]; k++) {
			struct group *g = &q->groups.p[up->p[k]];

			if (g->stamp != set) {
				g->stamp = set;
				g->members = 0;
				g->rfer += s->bytes;
			}
			if (++g->members == s->count)
				g->excl += s->bytes;
		}
	}
}

bool btrfs_qcount_run(struct btrfs_qcount *q)
{
	size_t *first = calloc(q->subvols.n + 1, sizeof(*first));
	index_vec up = { 0 };
	bool ok = first && sets_of_nodes(q) && collect_groups(q);

	if (ok && q->relations.n)
		qsort(q->relations.p, q->relations.n, sizeof(*q->relations.p),
		      relation_cmp);
	for (size_t i = 0; ok && i < q->subvols.n; i++) {
		first[i] = up.n;
		ok = ancestors(q, q->subvols.p[i], &up);
		first[i + 1] = up.n;
	}
	for (uint32_t i = 1; ok && i < q->sets.n; i++) {
		if (q->sets.p[i].bytes)
			count_set(q, i, &up, first);
	}
	vec_free(&up);
	free(first);
	return ok;
}

void btrfs_qcount_get(const struct btrfs_qcount *q, uint64_t group,
		      uint64_t *rfer, uint64_t *excl)
{
	const struct group *g = group_find(q, group);

	*rfer = g ? g->rfer : 0;
	*excl = g ? g->excl : 0;
}
