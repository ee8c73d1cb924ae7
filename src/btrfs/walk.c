// SPDX-License-Identifier: GPL-2.0-or-later
/* walk.c - nodes of a tree, and two trees side by side */
#include "walk.h"

int btrfs_walk_init(struct btrfs_walk *w, struct r3_btrfs *fs,
		    const struct btrfs_root *root)
{
	int err;

	btrfs_cursor_init(&w->c, fs, root);
	w->level = root->level;
	w->end = true;
	err = btrfs_cursor_load_root(&w->c);
	if (!err)
		w->end = !w->c.path[w->level]->nritems;
	return err;
}

void btrfs_walk_fini(struct btrfs_walk *w)
{
	btrfs_cursor_fini(&w->c);
}

int btrfs_walk_down(struct btrfs_walk *w)
{
	int err = btrfs_cursor_load_child(&w->c, w->level);

	if (err)
		return err;
	w->level--;
	w->c.slot[w->level] = 0;
	return 0;
}

void btrfs_walk_over(struct btrfs_walk *w)
{
	while (++w->c.slot[w->level] >= w->c.path[w->level]->nritems) {
		if (w->level == w->c.root.level) {
			w->end = true;
			return;
		}
		btrfs_block_put(w->c.path[w->level]);
		w->c.path[w->level] = NULL;
		w->level++;
	}
}

/* ---- two trees ------------------------------------------------------------*/

struct compare {
	struct btrfs_walk old, new;
	int (*each)(void *arg, const struct btrfs_pair *pair);
	void *arg;
};

static const void *item(const struct btrfs_walk *w, uint32_t *size)
{
	*size = btrfs_item_size(w->c.path[0], w->c.slot[0]);
	return btrfs_item_data(w->c.path[0], w->c.slot[0]);
}

/* What only one of the trees has here: down to it, or it. */
static int one_side(struct compare *c, struct btrfs_walk *w)
{
	struct btrfs_pair p = { .key = btrfs_walk_key(w) };
	int err;

	if (w->level)
		return btrfs_walk_down(w);
	if (w == &c->old)
		p.old = item(w, &p.old_size);
	else
		p.new = item(w, &p.new_size);
	err = c->each(c->arg, &p);
	btrfs_walk_over(w);
	return err;
}

/* Both stand on the same key of their leaves. */
static int both_items(struct compare *c)
{
	struct btrfs_pair p = { .key = btrfs_walk_key(&c->old) };
	int err = 0;

	p.old = item(&c->old, &p.old_size);
	p.new = item(&c->new, &p.new_size);
	if (p.old_size != p.new_size || memcmp(p.old, p.new, p.old_size))
		err = c->each(c->arg, &p);
	btrfs_walk_over(&c->old);
	btrfs_walk_over(&c->new);
	return err;
}

static int same_key(struct compare *c)
{
	const struct btrfs_key_ptr *a, *b;
	int err;

	if (c->old.level != c->new.level)
		return btrfs_walk_down(c->old.level > c->new.level ? &c->old
								   : &c->new);
	if (!c->old.level)
		return both_items(c);
	a = btrfs_walk_ptr(&c->old);
	b = btrfs_walk_ptr(&c->new);
	if (le64(a->blockptr) == le64(b->blockptr) &&
	    le64(a->generation) == le64(b->generation)) {
		btrfs_walk_over(&c->old);
		btrfs_walk_over(&c->new);
		return 0;
	}
	err = btrfs_walk_down(&c->old);
	return err ? err : btrfs_walk_down(&c->new);
}

static int step(struct compare *c)
{
	int order;

	if (c->old.end || c->new.end)
		return one_side(c, c->old.end ? &c->new : &c->old);
	order = btrfs_key_cmp(btrfs_walk_key(&c->old),
			      btrfs_walk_key(&c->new));
	if (!order)
		return same_key(c);
	return one_side(c, order < 0 ? &c->old : &c->new);
}

int btrfs_compare(struct r3_btrfs *fs, const struct btrfs_root *old,
		  const struct btrfs_root *new,
		  int (*each)(void *arg, const struct btrfs_pair *pair),
		  void *arg)
{
	struct compare c = { .each = each, .arg = arg };
	int err;

	if (old->bytenr == new->bytenr && old->generation == new->generation)
		return 0;
	err = btrfs_walk_init(&c.old, fs, old);
	if (err)
		return err;
	err = btrfs_walk_init(&c.new, fs, new);
	while (!err && (!c.old.end || !c.new.end))
		err = step(&c);
	btrfs_walk_fini(&c.old);
	btrfs_walk_fini(&c.new);
	return err;
}
