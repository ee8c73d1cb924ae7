/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim.h - a scenario: as it is read (sim_parse.c) and as it runs (sim.c) */
#ifndef REG_SIM_H
#define REG_SIM_H

#include "reg_priv.h"

#define SIM_NAME_MAX 24u

struct sim_point {
	double x, y;
};

struct sim_radio {
	char name[SIM_NAME_MAX];
	struct sim_point at, speed;
	bool no_dfs;
	int network; /* joined; -1 */
	uint64_t heard; /* networks in range before, one bit each */
	bool wants;  /* it runs a network of its own, or is about to */
	struct r3_reg_chandef def;
	struct r3_reg_dfs dfs;
	uint64_t recheck_ms; /* after a change of domain; UINT64_MAX: none */
};

struct sim_network {
	char name[SIM_NAME_MAX];
	char country[3];
	uint32_t khz;
	struct sim_point at;
	double range;
};
static_assert(R3_REG_SIM_NETWORKS_MAX <= 64, "bits of sim_radio.heard");

enum sim_kind { SIM_USER, SIM_DRIVER, SIM_START, SIM_STOP, SIM_RADAR };

struct sim_event {
	uint64_t ms;
	unsigned order; /* of lines, where times are equal */
	enum sim_kind kind;
	unsigned radio;
	char country[3];
	struct r3_reg_chandef def;
};

struct r3_reg_sim {
	struct r3_reg_hints *hints;
	struct sim_radio radio[R3_REG_RADIOS_MAX];
	unsigned radios;
	struct sim_network network[R3_REG_SIM_NETWORKS_MAX];
	unsigned networks;
	struct sim_event event[R3_REG_SIM_EVENTS_MAX];
	unsigned events, next;
	uint64_t now_ms, end_ms;
	r3_reg_sim_say *say;
	void *arg;
};

#endif
