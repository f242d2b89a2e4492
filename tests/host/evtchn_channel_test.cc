// SPDX-License-Identifier: GPL-2.0-only
/* A channel from opening to closing: its owner in C++, explicit EOIs, spurious events. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "evtchn/evtchn.hh"
#include "hypervisor/hypercall.hh"
#include "lib/work.hh"
#include "tests/host/evtchn_fixture.hh"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/debugfs.hh"
#include "tests/host/fake/shim.hh"

namespace {

using namespace xpv;
using Milliseconds = std::vector<unsigned int>;

constexpr Domid dom0 = { 0 };

class EvtchnChannel : public testing::TestWithParam<xpv_evtchn_abi> {
protected:
	void SetUp() override { xpv_test::start_evtchn(GetParam()); }
	void TearDown() override
	{
		EXPECT_EQ(xpv_fake_open_ports(), 0u);
		EXPECT_EQ(fake::bound_irqs(), 0u);
		xpv_test::stop_evtchn();
	}
	static void event(Port port)
	{
		xpv_fake_event(port);
		xpv_handle_upcall(0);
	}
};

INSTANTIATE_TEST_SUITE_P(Abis, EvtchnChannel, testing::Values(XPV_ABI_2LEVEL, XPV_ABI_FIFO), [](const auto &abi_info) {
	return abi_info.param == XPV_ABI_FIFO ? "Fifo" : "TwoLevel";
});

struct Queue {
	bool on_event()
	{
		events++;
		port_in_handler = channel.port().value;
		return useful;
	}

	unsigned int events = 0;
	uint32_t port_in_handler = 0;
	bool useful = true;
	Channel<&Queue::on_event> channel{ *this };
};

TEST_P(EvtchnChannel, OwnerHasItsMethodCalled)
{
	Queue queue;
	EXPECT_FALSE(queue.channel.is_open());
	/* The channel is the handler's to use from the first event on. */
	fake::evtchn_linux.event_while_bound = true;
	ASSERT_TRUE(queue.channel.alloc_unbound(dom0, "queue").ok());
	EXPECT_TRUE(queue.channel.is_open());
	EXPECT_EQ(queue.events, 1u);
	EXPECT_EQ(queue.port_in_handler, queue.channel.port().value);
	EXPECT_TRUE(queue.channel.notify().ok());
	EXPECT_EQ(xpv_fake_sent(queue.channel.port()), 1u);
	queue.channel.mask();
	event(queue.channel.port());
	EXPECT_EQ(queue.events, 1u);
	queue.channel.unmask();
	xpv_handle_upcall(0);
	EXPECT_EQ(queue.events, 2u);
	queue.channel.close();
	EXPECT_FALSE(queue.channel.is_open());
	queue.channel.close();
}

TEST_P(EvtchnChannel, FailedOpenerLeavesItClosed)
{
	Queue queue;
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 0, XEN_ENOSPC);
	EXPECT_EQ(queue.channel.alloc_unbound(dom0, "queue").error(), XEN_ENOSPC);
	EXPECT_FALSE(queue.channel.is_open());
	EXPECT_EQ(queue.channel.adopt(Port{ 200 }, "queue").error(), XEN_ERANGE);
	EXPECT_FALSE(queue.channel.is_open());
	ASSERT_TRUE(queue.channel.adopt(xpv_fake_toolstack_port(), "queue").ok());
}

/*
 * Case 17 (XSA-332, XSA-391). The other end sends events that bring no work. A
 * driver that unmasks the port after each spends a CPU on them. Two in a row
 * must cost nothing, since a well-behaved other end can cause them; with the
 * third the port must stay masked for 4 ms.
 */
TEST_P(EvtchnChannel, UselessEventsBackOff)
{
	Queue queue;
	ASSERT_TRUE(queue.channel.alloc_unbound(dom0, "queue").ok());
	queue.useful = false;
	for (unsigned int i = 0; i < 2; i++)
		event(queue.channel.port());
	EXPECT_EQ(fake::evtchn_linux.backoffs_ms, Milliseconds{});
	event(queue.channel.port());
	EXPECT_EQ(fake::evtchn_linux.backoffs_ms, Milliseconds{ 4 });
}

/* A port that backs off stays masked until its work runs, whatever works wait for xenstored meanwhile. */
struct Stuck {
	void run() { fake::sleep_for(std::chrono::seconds(60)); }

	xpv::Work<&Stuck::run> work{ *this, XPV_WORK_RECOVERY, xpv::LockClass{ "stuck", nullptr } };
};

TEST_P(EvtchnChannel, BackOffEndsWhileOtherWorksAreStuck)
{
	fake::only_rescuers(true);
	Stuck stuck;
	stuck.work.schedule();
	Queue queue;
	ASSERT_TRUE(queue.channel.alloc_unbound(dom0, "queue").ok());
	queue.useful = false;
	for (unsigned int i = 0; i < 4; i++)
		event(queue.channel.port());
	EXPECT_EQ(queue.events, 3u);
	queue.useful = true;
	fake::advance(std::chrono::milliseconds(5));
	xpv_handle_upcall(0);
	EXPECT_EQ(queue.events, 4u);
	fake::only_rescuers(false);
	stuck.work.cancel();
}

TEST_P(EvtchnChannel, TableHasALineForEach)
{
	Queue queue;
	ASSERT_TRUE(queue.channel.alloc_unbound(dom0, "vbd-51712").ok());
	queue.useful = false;
	event(queue.channel.port());
	queue.channel.mask();
	xpv_fake_event(queue.channel.port());
	xpv_debug_sink sink;
	xpv_channels_show(&sink);
	EXPECT_TRUE(sink.text.starts_with(GetParam() == XPV_ABI_FIFO ? "# FIFO ABI" : "# 2-level ABI")) << sink.text;
	std::string line = sink.text.substr(sink.text.find("unbound"));
	EXPECT_NE(line.find(" PM i-----            1         1  vbd-51712 "), std::string::npos) << sink.text;
}

/* ---- Explicit EOI ---- */

struct Poll {
	void on_event() { events++; }

	unsigned int events = 0;
	Channel<&Poll::on_event> channel{ *this };
};

TEST_P(EvtchnChannel, NextEventAwaitsTheEoi)
{
	Poll poll;
	ASSERT_TRUE(poll.channel.alloc_unbound(dom0, "poll", XPV_EVENT_EXPLICIT_EOI).ok());
	/* There is no event whose end this could be. */
	poll.channel.eoi(XPV_EOI_SPURIOUS);
	for (unsigned int round = 0; round < 3; round++) {
		event(poll.channel.port());
		event(poll.channel.port());
		EXPECT_EQ(poll.events, 2 * round + 1);
		poll.channel.eoi();
		poll.channel.eoi(XPV_EOI_SPURIOUS);
		xpv_handle_upcall(0);
		EXPECT_EQ(poll.events, 2 * round + 2);
		poll.channel.eoi();
	}
	EXPECT_EQ(fake::evtchn_linux.backoffs_ms, Milliseconds{});
}

/*
 * Case 17, with explicit EOIs. The third spurious EOI in a row must keep the
 * port masked for 4 ms; an event that comes meanwhile must be delivered
 * afterwards, and a useful one start the count again. An EOI that unmasks at
 * once would let the other end choose how often the handler runs.
 */
TEST_P(EvtchnChannel, SpuriousEoisBackOff)
{
	Poll poll;
	ASSERT_TRUE(poll.channel.alloc_unbound(dom0, "poll", XPV_EVENT_EXPLICIT_EOI).ok());
	for (unsigned int i = 1; i <= 3; i++) {
		event(poll.channel.port());
		EXPECT_EQ(poll.events, i);
		poll.channel.eoi(XPV_EOI_SPURIOUS);
	}
	EXPECT_EQ(fake::evtchn_linux.backoffs_ms, Milliseconds{ 4 });
	/* It comes when the time is over. */
	xpv_fake_event(poll.channel.port());
	ASSERT_TRUE(fake::wait_for_work(60000));
	xpv_handle_upcall(0);
	EXPECT_EQ(poll.events, 4u);
	poll.channel.eoi();
	/* A good one begins the count again. */
	for (unsigned int i = 0; i < 2; i++) {
		event(poll.channel.port());
		poll.channel.eoi(XPV_EOI_SPURIOUS);
	}
	EXPECT_EQ(fake::evtchn_linux.backoffs_ms, Milliseconds{ 4 });
}

} // namespace
