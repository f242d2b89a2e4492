// SPDX-License-Identifier: GPL-2.0-only
/* The ports of users of /dev/xen/evtchn, over the 2-level ABI and irqs that the test plays. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "evtchn/evtchn_owned.h"
#include "lib/result.hh"
#include "tests/host/evtchn_fixture.hh"
#include "tests/host/fake/shim.hh"

namespace {

constexpr int efbig = 27;

class EventUsers : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		xpv_test::start_evtchn(XPV_ABI_2LEVEL);
		ASSERT_EQ(xpv_event_users_start(), 0);
		user = open();
	}
	void TearDown() override
	{
		if (user)
			xpv_event_user_close(user);
		EXPECT_EQ(xpv_fake_open_ports(), 0u);
		EXPECT_EQ(fake::bound_irqs(), 0u);
		xpv_event_users_stop();
		xpv_test::stop_evtchn();
		EXPECT_EQ(fake::live_allocations(), allocations);
	}
	xpv_event_user *open()
	{
		xpv_event_user *opened = nullptr;
		EXPECT_EQ(xpv_event_user_open(&node, "test", &opened), 0);
		return opened;
	}
	static int bind(xpv_event_user *whose, xpv_event_user_kind kind = XPV_EVENT_USER_UNBOUND, uint16_t domain = 3,
			unsigned int virq = 0)
	{
		xpv_event_user_binding binding = { kind, virq, { domain }, { 9 } };
		return xpv_event_user_bind(whose, &binding);
	}
	static xpv_port port_of(int bound)
	{
		EXPECT_GT(bound, 0);
		return { static_cast<uint32_t>(bound) };
	}
	static void event(xpv_port port)
	{
		xpv_fake_event(port);
		xpv_handle_upcall(0);
	}
	static std::vector<uint32_t> read(xpv_event_user *whose, unsigned int most = 1000)
	{
		std::vector<uint32_t> ports(most);
		int count = xpv_event_user_peek(whose, ports.data(), most);
		EXPECT_GE(count, 0);
		ports.resize(static_cast<std::size_t>(count));
		xpv_event_user_skip(whose, static_cast<unsigned int>(count));
		return ports;
	}
	static void finish(xpv_event_user *whose, std::vector<uint32_t> ports)
	{
		xpv_event_user_finish(whose, ports.data(), static_cast<unsigned int>(ports.size()));
		xpv_handle_upcall(0);
	}

	xpv_event_node node;
	xpv_event_user *user = nullptr;
	std::size_t allocations = 0;
};

using Ports = std::vector<uint32_t>;

TEST_F(EventUsers, MaskedUntilWrittenBack)
{
	xpv_port port = port_of(bind(user));
	EXPECT_EQ(read(user), Ports{});
	event(port);
	EXPECT_EQ(node.wakes, 1u);
	event(port);
	EXPECT_EQ(node.wakes, 1u);
	EXPECT_EQ(xpv_event_user_readiness(user), XPV_EVENT_USER_READABLE);
	EXPECT_EQ(read(user), Ports{ port.value });
	EXPECT_EQ(xpv_event_user_readiness(user), 0u);
	/* What came meanwhile comes now, once. */
	finish(user, { port.value });
	EXPECT_EQ(read(user), Ports{ port.value });
	finish(user, { port.value });
	EXPECT_EQ(read(user), Ports{});
}

TEST_F(EventUsers, EventBeforeBindReturns)
{
	fake::evtchn_linux.event_while_bound = true;
	xpv_port port = port_of(bind(user));
	EXPECT_EQ(read(user), Ports{ port.value });
	event(port);
	EXPECT_EQ(read(user), Ports{});
	finish(user, { port.value });
	EXPECT_EQ(read(user), Ports{ port.value });
}

TEST_F(EventUsers, WritingBackWhatIsNotThere)
{
	xpv_port port = port_of(bind(user));
	xpv_event_user *other = open();
	event(port);
	/* Another's port, one that is not masked, and nonsense. */
	finish(other, { port.value, 0, 1, 0xffffffff });
	event(port);
	EXPECT_EQ(read(user), Ports{ port.value });
	EXPECT_EQ(read(user), Ports{});
	xpv_event_user_close(other);
	finish(user, { port.value, port.value, port.value });
	EXPECT_EQ(read(user), Ports{ port.value });
}

TEST_F(EventUsers, RingGrowsAndKeepsWhatIsInIt)
{
	Ports all;
	for (unsigned int i = 0; i < 63; i++)
		all.push_back(port_of(bind(user)).value);
	/* Let the indices be anywhere. */
	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t port : all)
			event({ port });
		EXPECT_EQ(read(user), all);
		finish(user, all);
	}
	for (uint32_t port : all)
		event({ port });
	EXPECT_EQ(read(user, 10), Ports(all.begin(), all.begin() + 10));
	while (all.size() < 200) {
		all.push_back(port_of(bind(user)).value);
		if (all.size() > 70)
			event({ all.back() });
	}
	Ports rest = read(user);
	Ports expected(all.begin() + 10, all.begin() + 63);
	expected.insert(expected.end(), all.begin() + 70, all.end());
	EXPECT_EQ(rest, expected);
	EXPECT_EQ(xpv_event_user_readiness(user), 0u);
}

TEST_F(EventUsers, OverflowsOnlyByWritingBackUnread)
{
	xpv_port port = port_of(bind(user));
	for (unsigned int i = 0; i < 64; i++) {
		event(port);
		finish(user, { port.value });
	}
	EXPECT_EQ(xpv_event_user_readiness(user), XPV_EVENT_USER_READABLE);
	event(port);
	EXPECT_EQ(xpv_event_user_readiness(user), XPV_EVENT_USER_READABLE | XPV_EVENT_USER_OVERFLOW);
	uint32_t unused;
	EXPECT_EQ(xpv_event_user_peek(user, &unused, 1), -efbig);
	xpv_event_user_reset(user);
	EXPECT_EQ(xpv_event_user_readiness(user), 0u);
	EXPECT_EQ(read(user), Ports{});
	finish(user, { port.value });
	event(port);
	EXPECT_EQ(read(user), Ports{ port.value });
}

TEST_F(EventUsers, OnlyOnesOwnPorts)
{
	xpv_port port = port_of(bind(user));
	xpv_event_user *other = open();
	EXPECT_EQ(xpv_event_user_notify(other, port), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_unbind(other, port), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_notify(other, xpv_fake_toolstack_port()), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_unbind(other, xpv_fake_toolstack_port()), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_unbind(other, { 4096 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_fake_sent(port), 0u);
	EXPECT_EQ(xpv_event_user_notify(user, port), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	EXPECT_EQ(xpv_event_user_unbind(user, port), 0);
	EXPECT_EQ(xpv_event_user_unbind(user, port), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
	xpv_event_user_close(other);
}

TEST_F(EventUsers, Restricted)
{
	EXPECT_EQ(xpv_event_user_restrict(user, { 0 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_event_user_restrict(user, { 0x7ff0 }), -XEN_EINVAL);
	EXPECT_EQ(xpv_event_user_restrict(user, { 5 }), 0);
	EXPECT_EQ(xpv_event_user_restrict(user, { 5 }), -XEN_EACCES);
	EXPECT_EQ(bind(user), -XEN_EACCES);
	EXPECT_EQ(bind(user, XPV_EVENT_USER_VIRQ, 0, 16), -XEN_EACCES);
	EXPECT_EQ(bind(user, XPV_EVENT_USER_INTERDOMAIN, 4), -XEN_EACCES);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
	port_of(bind(user, XPV_EVENT_USER_INTERDOMAIN, 5));
}

TEST_F(EventUsers, Virqs)
{
	xpv_port port = port_of(bind(user, XPV_EVENT_USER_VIRQ, 0, 16));
	EXPECT_EQ(bind(user, XPV_EVENT_USER_VIRQ, 0, 16), -XEN_EEXIST);
	xpv_fake_virq(16);
	xpv_handle_upcall(0);
	EXPECT_EQ(read(user), Ports{ port.value });
}

TEST_F(EventUsers, FailedBindingLeavesNothing)
{
	xpv_fake_fail(32, 6, 0, XEN_ENOSPC); /* EVTCHNOP_alloc_unbound */
	EXPECT_EQ(bind(user), -XEN_ENOSPC);
	for (unsigned int nth = 1; nth <= 4; nth++) {
		fake::fail_allocation(nth);
		if (bind(user) > 0)
			break;
		EXPECT_EQ(xpv_fake_open_ports(), 0u) << nth;
		EXPECT_NE(nth, 4u);
	}
	fake::fail_allocation(0);
}

TEST_F(EventUsers, HeldPortOutlivesItsUser)
{
	xpv_port port = port_of(bind(user));
	xpv_held_port *held = nullptr, *again = nullptr;
	EXPECT_EQ(xpv_event_port_hold(xpv_fake_toolstack_port(), &held), -XEN_EINVAL);
	EXPECT_EQ(xpv_event_port_hold({ 200 }, &held), -XEN_EINVAL);
	ASSERT_EQ(xpv_event_port_hold(port, &held), 0);
	ASSERT_EQ(xpv_event_port_hold(port, &again), 0);
	xpv_event_user_close(std::exchange(user, nullptr));
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	event(port); /* finds nobody */
	EXPECT_EQ(xpv_event_port_notify(held), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	xpv_event_port_release(held);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	xpv_event_port_release(again);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
	xpv_event_port_release(nullptr);
}

} // namespace
