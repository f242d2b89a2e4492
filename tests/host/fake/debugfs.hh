/* SPDX-License-Identifier: GPL-2.0-only */
/* A debug file for the host tests: keeps what is printed. */
#pragma once

#include <string>

#include "lib/debugfs.h"

struct xpv_debug_sink {
	std::string text;
};
