// SPDX-License-Identifier: GPL-2.0-only
/* The vector of upcalls, one for each vCPU or one for all, and its registration after a restore. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/host/evtchn_suspend_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

INSTANTIATE_TEST_SUITE_P(Kinds, EvtchnSuspend, all_kinds, kind_name);

TEST_P(EvtchnSuspend, EventsComeByTheVectorThatIsRegistered)
{
	constexpr unsigned int other_vector = 0x99;
	Events events;
	xpv_event_channel *channel = open(events, 1);
	ASSERT_EQ(fake::evtchn_linux.callback ?
			  xpv_upcall_set_via(uint64_t{ HVM_PARAM_CALLBACK_TYPE_VECTOR } << 56 | other_vector) :
			  xpv_upcall_set_vector(1, other_vector),
		  0);
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(events.take(), 0u) << "by a vector of which Linux knows nothing";
	EXPECT_TRUE(fake::take_interrupt({ 1 }, other_vector));
	/* Xen raises the new vector for what is pending. */
	ASSERT_EQ(fake::register_upcalls(all_cpus), 0);
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	xpv_event_channel_close(channel);
}

/* Xen prefers the vector of the vCPU to the one of all. */
TEST_P(EvtchnSuspend, AVectorOfItsOwnGoesBeforeTheCallback)
{
	constexpr uint64_t callback = uint64_t{ HVM_PARAM_CALLBACK_TYPE_VECTOR } << 56 | 0x50;
	Events events;
	xpv_event_channel *channel = open(events, 2);
	ASSERT_EQ(xpv_upcall_set_via(callback), 0);
	xpv_fake_event(xpv_event_channel_port(channel));
	EXPECT_EQ(fake::take_interrupt({ 2 }, 0x50), fake::evtchn_linux.callback);
	EXPECT_EQ(fake::take_interrupt({ 2 }, fake::upcall_vector(2)), !fake::evtchn_linux.callback);
	xpv_fake_take_callback_vector(false);
	EXPECT_EQ(xpv_upcall_set_via(callback), -XEN_EINVAL);
	EXPECT_EQ(xpv_upcall_set_via(0), 0);
	xpv_event_channel_close(channel);
}

/* A restored domain has neither vectors nor a callback until they are registered again. */
TEST_P(EvtchnSuspend, UpcallsThatAreLostInARestoreBringNothing)
{
	Events events;
	xpv_event_channel *channel = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, events.args("ipi"), &channel), 0);
	fake::evtchn_linux.forgets_upcalls = true;
	restore();
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(events.take(), 0u);
	fake::evtchn_linux.forgets_upcalls = false;
	restore();
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_NE(events.take(), 0u);
	xpv_event_channel_close(channel);
}

/* With a callback vector, Xen raises it on and on where a vCPU has an event that it cannot take. */
TEST_P(EvtchnSuspend, NothingIsPendingForVcpusThatGetNoUpcalls)
{
	Events early, late;
	xpv_event_channel *before = nullptr, *after = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, early.args("ipi"), &before), 0);
	fake::evtchn_linux.unreached.insert(1);
	xpv_channels_cpu_dead(1);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, late.args("ipi"), &after), 0);
	for (xpv_event_channel *channel : { before, after })
		EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	EXPECT_FALSE(read_once(xpv_vcpu_info(1)->evtchn_upcall_pending));
	upcalls();
	EXPECT_EQ(early.take() + late.take(), 0u);

	fake::evtchn_linux.unreached.clear();
	ASSERT_EQ(xpv_upcall_prepare(1), 0);
	xpv_channels_cpu_ready(1);
	upcalls();
	EXPECT_EQ(early.take(), 1u);
	EXPECT_EQ(late.take(), 1u);
	xpv_event_channel_close(before);
	xpv_event_channel_close(after);
}

TEST_P(EvtchnSuspend, XenIsToldOfEverything)
{
	for (int i = 0; i < 3; i++) {
		restore();
		EXPECT_EQ(xpv_fake_param(HVM_PARAM_CALLBACK_IRQ), fake::upcall_via());
		EXPECT_EQ(fake::evtchn_linux.vectors_told,
			  fake::evtchn_linux.callback ? std::vector<unsigned int>() :
							std::vector<unsigned int>({ 1, 2, big_cpu }));
		fake::evtchn_linux.vectors_told.clear();
	}
	/* A vCPU that was not there comes, and can have events. */
	ASSERT_EQ(xpv_hypervisor_vcpu_online(5), 0);
	ASSERT_EQ(xpv_upcall_prepare(5), 0);
	EXPECT_EQ(fake::take_log(), std::vector<std::string>{});
}

} // namespace
