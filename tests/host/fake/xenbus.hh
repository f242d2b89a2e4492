/* SPDX-License-Identifier: GPL-2.0-only */
/* The Linux side of xenbus (xenbus/linux.h) for the host tests: the device bus, and users of /dev/xen/xenbus. */
#pragma once

#include <mutex>

#include "tests/host/fake/clock.hh"
#include "xenbus/linux.h"

/* A user of /dev/xen/xenbus. Tasks that wait for it check their condition again. */
struct xpv_store_node {
	std::mutex mutex;
	fake::Condition changed;
	unsigned int wakes = 0;
	xpv_store_user *user = nullptr;
};

namespace fake {

/* The next xpv_linux_device_add() fails. */
void fail_adding_a_device();

} // namespace fake
