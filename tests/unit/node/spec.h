/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spec.h - the keys of the test servers */
#ifndef TEST_NODE_SPEC_H
#define TEST_NODE_SPEC_H

#include "ring3/server.h"

extern const struct r3_server_spec test_server_spec, test_user_spec;

#endif
