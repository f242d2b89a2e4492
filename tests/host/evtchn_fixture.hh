/* SPDX-License-Identifier: GPL-2.0-only */
/* Event channels over a new domain with one vCPU. */
#pragma once

#include <gtest/gtest.h>

#include "evtchn/linux.h"
#include "hypervisor/linux.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/evtchn_linux.hh"

namespace xpv_test {

inline void start_evtchn(xpv_evtchn_abi abi)
{
	xpv_fake_reset();
	fake::reset_evtchn_linux();
	ASSERT_EQ(xpv_hypervisor_detect(), 0);
	ASSERT_EQ(xpv_hypervisor_start(), 0);
	ASSERT_EQ(xpv_hypervisor_vcpu_online(0), 0);
	ASSERT_EQ(xpv_ports_start(abi), 0);
	ASSERT_EQ(xpv_channels_start(), 0);
	ASSERT_EQ(xpv_upcall_prepare(0), 0);
}

inline void stop_evtchn()
{
	xpv_channels_stop();
	xpv_ports_mask_all();
	xpv_ports_stop();
	xpv_hypervisor_stop();
}

} // namespace xpv_test
