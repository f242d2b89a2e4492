// SPDX-License-Identifier: GPL-2.0-only
/* Event channels across a suspend: the same when it is cancelled, bound again or lost when it is restored. */
#include <gtest/gtest.h>

#include "tests/host/evtchn_suspend_fixture.hh"

namespace {

using namespace xpv;
using namespace xpv_test;

INSTANTIATE_TEST_SUITE_P(Kinds, EvtchnSuspend, all_kinds, kind_name);

TEST_P(EvtchnSuspend, CancelledChangesNothing)
{
	Events events;
	xpv_event_channel *channel = open(events, 1);
	Port port = xpv_event_channel_port(channel);
	begin();
	xpv_fake_event(port);
	end(XPV_RESUME_CANCELLED);
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	EXPECT_FALSE(xpv_event_channel_lost(channel));
	EXPECT_TRUE(fake::evtchn_linux.vectors_told.empty());
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_P(EvtchnSuspend, ChannelsToOtherDomainsAreLostAndHarmless)
{
	Events events, others;
	xpv_event_channel *channel = open(events, 1);
	uint32_t old_port = xpv_event_channel_port(channel).value;
	xpv_fake_event(Port{ old_port });
	xpv_event_channel_mask(channel);
	restore();
	EXPECT_TRUE(xpv_event_channel_lost(channel));
	EXPECT_EQ(xpv_event_channel_port(channel).value, 0u);
	upcalls();
	EXPECT_EQ(events.take(), 0u) << "an event of a port that is no more";

	/* The number is another channel's now; whatever happens to the lost one is nothing to it. */
	xpv_event_channel *other = open(others, 2);
	EXPECT_EQ(xpv_event_channel_port(other).value, old_port);
	EXPECT_EQ(xpv_event_channel_notify(channel), -XEN_ENOTCONN);
	xpv_event_channel_unmask(channel);
	xpv_event_channel_raise(channel);
	EXPECT_EQ(xpv_event_channel_move(channel, 2), 0);
	EXPECT_EQ(xpv_event_channel_set_priority(channel, 3), -XEN_ENOTCONN);
	xpv_event_channel_mask(channel);
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	upcalls();
	EXPECT_EQ(others.take(), 0u);
	xpv_fake_event(xpv_event_channel_port(other));
	upcalls();
	EXPECT_EQ(others.take(), 1u);
	xpv_event_channel_close(other);
}

TEST_P(EvtchnSuspend, VirqsAndIpisAreBoundAgainWhereTheyWere)
{
	Events global, own, ipi;
	xpv_event_channel *channels[3] = {};
	/* So that the ports have other numbers afterwards. */
	Events passing;
	xpv_event_channel *first = open(passing);
	ASSERT_EQ(xpv_event_channel_bind_virq(16, 0, global.args("global"), &channels[0]), 0);
	ASSERT_EQ(xpv_event_channel_bind_virq(VIRQ_DEBUG, 1, own.args("own"), &channels[1]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(big_cpu, ipi.args("ipi"), &channels[2]), 0);
	ASSERT_EQ(xpv_event_channel_move(channels[0], 2), 0);
	uint32_t before = xpv_event_channel_port(channels[0]).value;
	restore();
	EXPECT_NE(xpv_event_channel_port(channels[0]).value, before);
	EXPECT_EQ(xpv_fake_open_ports(), 3u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[0])).value, 2u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[1])).value, 1u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[2])).value, big_cpu);
	xpv_fake_virq(16);
	xpv_fake_virq(VIRQ_DEBUG);
	EXPECT_EQ(xpv_event_channel_notify(channels[2]), 0);
	EXPECT_EQ(global.count + own.count + ipi.count, 0u);
	upcalls();
	EXPECT_EQ(global.take(), 1u);
	EXPECT_EQ(own.take(), 1u);
	EXPECT_EQ(ipi.take(), 1u);
	for (xpv_event_channel *channel : channels)
		xpv_event_channel_close(channel);
	xpv_event_channel_close(first);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_P(EvtchnSuspend, EventsThatWereUnderWayComeOnce)
{
	Events pending, masked, threaded;
	xpv_event_channel *channels[3] = {};
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, pending.args("pending"), &channels[0]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, masked.args("masked"), &channels[1]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(2, threaded.args("threaded"), &channels[2]), 0);
	xpv_event_channel_mask(channels[1]);
	/* Its thread is at work, and one more event came. */
	xpv_event_channel_begin_threaded(channels[2]);
	for (xpv_event_channel *channel : channels)
		EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	restore();
	upcalls();
	EXPECT_EQ(pending.take(), 1u);
	EXPECT_EQ(masked.take(), 0u);
	EXPECT_EQ(threaded.take(), 0u);
	xpv_event_channel_unmask(channels[1]);
	xpv_event_channel_run_threaded(channels[2]);
	EXPECT_EQ(threaded.take(), 1u);
	upcalls();
	EXPECT_EQ(pending.take(), 0u);
	EXPECT_EQ(masked.take(), 1u);
	EXPECT_EQ(threaded.take(), 1u);
	for (xpv_event_channel *channel : channels)
		xpv_event_channel_close(channel);
}

TEST_P(EvtchnSuspend, LostChannelsAreGivenNewPorts)
{
	Events disk, store;
	xpv_event_channel *channel = open(disk, 2), *adopted = nullptr;
	ASSERT_EQ(xpv_event_channel_adopt(Port{ 1 }, store.args("store"), &adopted), 0);
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 3 }), -XEN_EISCONN);
	xpv_event_channel_mask(channel);
	unsigned int irq = xpv_event_channel_irq(channel);
	restore();
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 200 }), -XEN_ERANGE);
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 3 }), 0);
	EXPECT_EQ(xpv_event_channel_rebind_unbound(channel, dom0), 0);
	EXPECT_EQ(xpv_event_channel_rebind_unbound(channel, dom0), -XEN_EISCONN);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	EXPECT_EQ(xpv_event_channel_irq(channel), irq);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channel)).value, 2u);
	xpv_fake_event(Port{ 3 });
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(store.take(), 1u);
	EXPECT_EQ(disk.take(), 0u) << "masked";
	xpv_event_channel_unmask(channel);
	upcalls();
	EXPECT_EQ(disk.take(), 1u);
	xpv_event_channel_close(adopted);
	EXPECT_TRUE(evtchnop_send(Port{ 3 }).ok()) << "the toolstack's port stays";
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

/* After a restore Xen gives the numbers of before to new ports. */
TEST_P(EvtchnSuspend, UsersPortsOfBeforeDoNotShadowNewOnes)
{
	xpv_event_node node;
	xpv_event_user *user = nullptr;
	ASSERT_EQ(xpv_event_users_start(), 0);
	ASSERT_EQ(xpv_event_user_open(&node, "test", &user), 0);
	const xpv_event_user_binding unbound = { XPV_EVENT_USER_UNBOUND, 0, { 3 }, {} };
	int bound = xpv_event_user_bind(user, &unbound);
	ASSERT_GT(bound, 0);
	restore();
	ASSERT_EQ(xpv_event_user_bind(user, &unbound), bound);

	auto number = static_cast<uint32_t>(bound);
	Port port = { number };
	for (unsigned int round = 0; round < 2; round++) {
		xpv_fake_event(port);
		upcalls();
		uint32_t read = 0;
		ASSERT_EQ(xpv_event_user_peek(user, &read, 1), 1);
		EXPECT_EQ(read, number);
		xpv_event_user_skip(user, 1);
		xpv_event_user_finish(user, &number, 1);
	}
	EXPECT_EQ(xpv_event_user_notify(user, port), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	xpv_held_port *held = nullptr;
	ASSERT_EQ(xpv_event_port_hold(port, &held), 0);
	EXPECT_EQ(xpv_event_port_notify(held), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	xpv_event_port_release(held);

	/* The new one goes first, then that of before. */
	EXPECT_EQ(xpv_event_user_unbind(user, port), 0);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
	EXPECT_EQ(xpv_event_user_notify(user, port), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_unbind(user, port), 0);
	EXPECT_EQ(xpv_event_user_unbind(user, port), -XEN_ENOTCONN);
	xpv_event_user_close(user);
	xpv_event_users_stop();
}

/* The port of a channel that is being closed is lost as any other; its number is somebody else's. */
TEST_P(EvtchnSuspend, CloseAcrossARestoreClosesNobodysPort)
{
	Events events;
	xpv_event_channel *channel = open(events);
	Port port = xpv_event_channel_port(channel);
	Port other = {};
	fake::after_next_mutex([&] {
		restore();
		auto taken = evtchnop_alloc_unbound(dom0);
		ASSERT_TRUE(taken.ok());
		other = taken.value();
	});
	xpv_event_channel_close(channel);
	EXPECT_EQ(other, port);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	EXPECT_TRUE(evtchnop_close(other).ok());
}

TEST_P(EvtchnSuspend, EachHypercallMayFail)
{
	struct Call {
		unsigned int number, command;
	} calls[] = { { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_init_control },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_expand_array },
		      { __HYPERVISOR_hvm_op, HVMOP_set_param },
		      { __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector },
		      { __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info } };
	for (const Call &call : calls) {
		for (unsigned int skip = 0; skip < 3; skip++) {
			SCOPED_TRACE(testing::Message() << call.number << ":" << call.command << " after " << skip);
			Events ipi, virq;
			xpv_event_channel *channels[2] = {};
			ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channels[0]), 0);
			ASSERT_EQ(xpv_event_channel_bind_virq(16, 0, virq.args("virq"), &channels[1]), 0);
			ASSERT_EQ(xpv_event_channel_move(channels[1], 1), 0);
			begin();
			xpv_fake_restore();
			xpv_fake_fail(call.number, call.command, skip, XEN_ENOMEM);
			end(XPV_RESUME_RESTORED);
			bool failed = !fake::take_log().empty();
			xpv_fake_fail(0, 0, 0, 0);
			upcalls();
			/* The next one finds all in order. */
			restore();
			if (failed)
				fake::take_log();
			for (xpv_event_channel *channel : channels)
				xpv_event_channel_close(channel);
			EXPECT_EQ(xpv_fake_open_ports(), 0u);
		}
	}
}

TEST_P(EvtchnSuspend, PrepareThatFailsLeavesNothing)
{
	for (unsigned int n = 1; n < 5; n++) {
		std::size_t before = fake::live_allocations();
		const char *refused = nullptr;
		fake::fail_allocation(n);
		xpv_suspend_parts_lock();
		if (xpv_suspend_parts_prepare(UINT64_MAX, &refused) == 0)
			xpv_suspend_parts_abandon();
		xpv_suspend_parts_unlock();
		EXPECT_EQ(fake::live_allocations(), before);
	}
	fake::fail_allocation(0);
}

} // namespace
