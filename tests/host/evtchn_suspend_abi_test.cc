// SPDX-License-Identifier: GPL-2.0-only
/* The ABI, and the pages lent for it, across restores and loads. */
#include <gtest/gtest.h>

#include "tests/host/evtchn_suspend_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

INSTANTIATE_TEST_SUITE_P(Kinds, EvtchnSuspend, all_kinds, kind_name);

TEST_P(EvtchnSuspend, MachineWithoutFifoIsManaged)
{
	Events ipi;
	xpv_event_channel *channel = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channel), 0);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	xpv_fake_refuse_fifo(true);
	restore();
	EXPECT_STREQ(xpv_ports_abi(), "2-level");
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	/* And the next load may find a machine that has it. */
	xpv_fake_refuse_fifo(false);
	xpv_event_channel_close(channel);
	xpv_ports_stop();
	ASSERT_EQ(xpv_ports_start(XPV_ABI_FIFO), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channel), 0);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	xpv_event_channel_close(channel);
}

/* An opener of a channel that was stopped in the middle of the FIFO goes on in it, whatever the new machine has. */
TEST_P(EvtchnSuspend, RetiredFifoStaysForAnOpenerThatWasStoppedInIt)
{
	if (abi() != XPV_ABI_FIFO)
		return; /* this ABI has no pages to retire */
	/* A FIFO without array, so that the next port needs a page. */
	begin();
	xpv_fake_restore();
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, 0, XEN_ENOMEM);
	end(XPV_RESUME_RESTORED);
	fake::take_log();
	ASSERT_STREQ(xpv_ports_abi(), "FIFO");

	const std::size_t before = fake::lent_allocations();
	std::size_t meanwhile = 0;
	Events events;
	begin();
	fake::on_lend = [&] {
		fake::sleep_for(std::chrono::seconds(1));
		meanwhile = fake::lent_allocations();
	};
	auto opening = fake::async([&] {
		xpv_event_channel *channel = nullptr;
		return xpv_event_channel_alloc_unbound(dom0, events.args("late"), &channel);
	});
	fake::settle();
	xpv_fake_refuse_fifo(true);
	xpv_fake_restore();
	end(XPV_RESUME_RESTORED);
	fake::on_lend = nullptr;
	EXPECT_STREQ(xpv_ports_abi(), "2-level");
	EXPECT_EQ(opening.get(), -XEN_ENOSYS);
	EXPECT_EQ(meanwhile, before);
	/* Two pages of control blocks; the record stays, as do the infos of vCPUs. */
	EXPECT_EQ(fake::lent_allocations(), before - 2);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

/* Xen keeps them, so that each load goes on with those of the first. */
TEST_P(EvtchnSuspend, PagesOfTheFifoStayWithTheDomain)
{
	const std::size_t before = fake::lent_allocations();
	for (int round = 0; round < 3; round++) {
		xpv_ports_mask_all();
		xpv_ports_stop();
		EXPECT_EQ(fake::lent_allocations(), before);
		ASSERT_EQ(xpv_ports_start(abi()), 0);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
		EXPECT_EQ(fake::lent_allocations(), before);
		Events events;
		xpv_event_channel *channel = open(events, big_cpu);
		xpv_fake_event(xpv_event_channel_port(channel));
		upcalls();
		EXPECT_EQ(events.take(), 1u);
		xpv_event_channel_close(channel);
		restore();
		EXPECT_EQ(fake::lent_allocations(), before);
	}
}

TEST_P(EvtchnSuspend, ReloadAfterRestoreFindsWhatIsLent)
{
	restore();
	/* As an unload and a load. */
	xpv_ports_mask_all();
	xpv_ports_stop();
	EXPECT_EQ(xpv_has_lent(XPV_LENT_EVENT_CHANNELS), abi() == XPV_ABI_FIFO);
	EXPECT_TRUE(xpv_has_lent(XPV_LENT_VCPU_INFO));
	ASSERT_EQ(xpv_ports_start(abi()), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
}

/* Xen did not take the event array: the next load does not count on it. */
TEST_P(EvtchnSuspend, ReloadAfterRefusedArrayFindsNoneInTheNotes)
{
	begin();
	xpv_fake_restore();
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, 0, XEN_ENOMEM);
	end(XPV_RESUME_RESTORED);
	xpv_fake_fail(0, 0, 0, 0);
	fake::take_log();
	xpv_ports_mask_all();
	xpv_ports_stop();
	ASSERT_EQ(xpv_ports_start(abi()), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
	Events events;
	xpv_event_channel *channel = open(events, 1);
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	xpv_event_channel_close(channel);
}

} // namespace
