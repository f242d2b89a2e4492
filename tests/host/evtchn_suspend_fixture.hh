/* SPDX-License-Identifier: GPL-2.0-only */
/* Event channels, shared info and suspend parts over the fake hypervisor, for each ABI and kind of upcall. */
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

#include "evtchn/abi.hh"
#include "evtchn/channel.hh"
#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/evtchn_linux.hh"
#include "tests/host/fake/hypervisor.hh"
#include "tests/host/fake/interrupt.hh"
#include "tests/host/fake/shim.hh"

namespace xpv_test {

using namespace xpv;

inline constexpr unsigned int big_cpu = 33; /* its info is not in the shared info page */
inline constexpr Domid dom0 = { 0 };

struct Events {
	unsigned int count = 0;
	static void add(xpv_event_context *context) { reinterpret_cast<Events *>(context)->count++; }
	[[nodiscard]] const xpv_event_channel_args *args(const char *name)
	{
		args_ = { name, XPV_EVENT_HARD, add, reinterpret_cast<xpv_event_context *>(this) };
		return &args_;
	}
	unsigned int take() { return std::exchange(count, 0); }

private:
	xpv_event_channel_args args_ = {};
};

/* The ABI, and whether there is one vector for all CPUs. */
using Kind = std::tuple<xpv_evtchn_abi, bool>;

class EvtchnSuspend : public testing::TestWithParam<Kind> {
protected:
	void SetUp() override
	{
		xpv_fake_refuse_fifo(false);
		xpv_fake_reset();
		xpv_fake_take_callback_vector(true);
		fake::reset_evtchn_linux();
		fake::evtchn_linux.callback = std::get<1>(GetParam());
		fake::take_log();
		ASSERT_EQ(xpv_hypervisor_detect(), 0);
		ASSERT_EQ(xpv_hypervisor_start(), 0);
		xpv_suspend_part_register(&xpv_hypervisor_suspend_part);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_hypervisor_vcpu_online(cpu), 0);
		ASSERT_EQ(xpv_ports_start(abi()), 0);
		ASSERT_EQ(xpv_channels_start(), 0);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
		ASSERT_EQ(fake::register_upcalls(all_cpus), 0);
		xpv_suspend_part_register(&xpv_evtchn_suspend_part);
	}
	void TearDown() override
	{
		xpv_suspend_part_unregister(&xpv_evtchn_suspend_part);
		xpv_channels_stop();
		xpv_ports_mask_all();
		xpv_ports_stop();
		xpv_suspend_part_unregister(&xpv_hypervisor_suspend_part);
		xpv_hypervisor_stop();
		EXPECT_EQ(fake::bound_irqs(), 0u);
	}

	xpv_event_channel *open(Events &events, unsigned int cpu = 0)
	{
		xpv_event_channel *channel = nullptr;
		EXPECT_EQ(xpv_event_channel_alloc_unbound(dom0, events.args("disk"), &channel), 0);
		EXPECT_EQ(xpv_event_channel_move(channel, cpu), 0);
		return channel;
	}
	static xpv_evtchn_abi abi() { return std::get<0>(GetParam()); }
	/* Of those that Xen has raised, by the vector that Linux has for them. */
	static void upcalls() { fake::deliver_upcalls(all_cpus); }
	static void begin()
	{
		const char *refused = nullptr;
		xpv_suspend_parts_lock();
		ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0) << refused;
		xpv_suspend_parts_suspend_early();
	}
	static void end(xpv_resume_kind kind)
	{
		xpv_suspend_parts_resume_early(kind);
		if (kind == XPV_RESUME_RESTORED) {
			for (unsigned int cpu : all_cpus) {
				if (cpu != 0)
					xpv_suspend_parts_resume_cpu(cpu);
			}
		}
		xpv_suspend_parts_resume_late(kind);
		xpv_suspend_parts_unlock();
	}
	static void restore()
	{
		begin();
		xpv_fake_restore();
		end(XPV_RESUME_RESTORED);
	}

	static constexpr unsigned int all_cpus[] = { 0, 1, 2, big_cpu };
};

/* For INSTANTIATE_TEST_SUITE_P(Kinds, EvtchnSuspend, ...). */
inline const auto all_kinds = testing::Combine(testing::Values(XPV_ABI_2LEVEL, XPV_ABI_FIFO), testing::Bool());

inline std::string kind_name(const testing::TestParamInfo<Kind> &kind)
{
	return std::string(std::get<0>(kind.param) == XPV_ABI_FIFO ? "Fifo" : "TwoLevel") +
	       (std::get<1>(kind.param) ? "Callback" : "Vectors");
}

} // namespace xpv_test
