// SPDX-License-Identifier: GPL-2.0-only
/* The toolstack's requests to power off and reboot, and what it may write instead of one. */
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "tests/host/suspend_control_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(Control, PowersOffOnce)
{
	start();
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
	/* The acknowledgement's own event is no request. */
	fake::settle();
	EXPECT_TRUE(kernel.wait("p"));
}

TEST_F(Control, HaltsAndReboots)
{
	start();
	ask("reboot");
	EXPECT_TRUE(kernel.wait("r"));
	EXPECT_TRUE(acknowledged());
	ask("halt");
	EXPECT_TRUE(kernel.wait("rp"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, FindsWhatWasAskedBefore)
{
	ask("reboot");
	start();
	EXPECT_TRUE(kernel.wait("r"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, RepeatsAndRefusesWhilePoweringOff)
{
	start();
	ask("poweroff");
	ASSERT_TRUE(acknowledged() && kernel.wait("p"));
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("pp"));
	EXPECT_TRUE(acknowledged());
	for (const char *request : { "reboot", "suspend" }) {
		ask(request);
		fake::settle();
		EXPECT_EQ(peer.get(shutdown_node), request);
	}
	EXPECT_TRUE(kernel.wait("pp"));
	EXPECT_TRUE(logged(fake::take_log(), "control/shutdown: refusing suspend while powering off"));
}

TEST_F(Control, LeavesNonsense)
{
	start();
	for (const std::string &nonsense :
	     { std::string("frobnicate\n%s%n"), std::string(4000, 'A'), std::string(24, 'B'), std::string(23, 'C'),
	       std::string("poweroff\0", 9), std::string(1, '\0') }) {
		ask(nonsense);
		fake::settle();
		EXPECT_EQ(peer.get(shutdown_node), nonsense);
	}
	EXPECT_TRUE(logged(fake::take_log(), "unknown request 'frobnicate?%s%n'"));
	EXPECT_TRUE(kernel.wait(""));
	/* And then sense. */
	ask("reboot");
	EXPECT_TRUE(kernel.wait("r"));
}

TEST_F(Control, NonsenseFloodsNoLog)
{
	start();
	for (unsigned int i = 1; i < 50; i++) {
		ask(std::string(i * 40, 'z'));
		fake::settle();
	}
	EXPECT_LE(fake::take_log().size(), 5u);
}

TEST_F(Control, NodesThatVanish)
{
	start();
	peer.erase(home + "control");
	fake::settle();
	EXPECT_TRUE(kernel.wait(""));
	EXPECT_TRUE(fake::take_log().empty());
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("p"));
}

TEST_F(Control, RequestTakenBackBeforeItIsAcknowledged)
{
	peer.on_transaction = [this] {
		peer.on_transaction = nullptr;
		peer.set(shutdown_node, "");
	};
	start();
	ask("suspend");
	fake::settle();
	EXPECT_TRUE(kernel.wait(""));
}

TEST_F(Control, RequestReplacedBeforeItIsAcknowledged)
{
	peer.on_transaction = [this] {
		peer.on_transaction = nullptr;
		peer.set(shutdown_node, "poweroff");
	};
	start();
	ask("reboot");
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
	fake::settle();
	EXPECT_TRUE(kernel.wait("p"));
}

TEST_F(Control, SomebodyInterferes)
{
	start();
	peer.interfere = 3;
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
}

/* Not acted on, for it was not acknowledged; a bounded number of requests; and taken up again later. */
TEST_F(Control, SomebodyInterferesForEver)
{
	start();
	fake::settle();
	peer.interfere = 1000000;
	unsigned int before = peer.requests;
	ask("poweroff");
	fake::advance(500ms);
	EXPECT_LT(peer.requests - before, 50u);
	EXPECT_TRUE(kernel.wait(""));
	EXPECT_TRUE(logged(fake::take_log(), "control/shutdown: cannot read or acknowledge"));
	peer.interfere = 0;
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, MayNotAcknowledge)
{
	peer.read_only = { shutdown_node };
	start();
	ask("poweroff");
	fake::settle();
	EXPECT_TRUE(kernel.wait(""));
}

TEST_F(Control, StoreThatDoesNotAnswerDoesNotKeepLinuxUp)
{
	timed_out = true;
	store.client.set_timeout(2000);
	start();
	fake::settle();
	std::atomic<bool> stuck = true;
	peer.on_transaction = [&] {
		while (stuck)
			fake::sleep_for(1ms);
	};
	ask("poweroff");
	fake::advance(50ms);
	auto begin = fake::Clock::now();
	xpv_control_going_down();
	EXPECT_LT(fake::Clock::now() - begin, 1s);
	fake::advance(2500ms);
	stuck = false;
	EXPECT_TRUE(kernel.wait(""));
	stop();
}

TEST_F(Control, DeadStore)
{
	start();
	fake::settle();
	/* An index that no honest store writes: the client gives the connection up. */
	__atomic_store_n(&peer.page.rsp_prod, peer.page.rsp_cons + XENSTORE_RING_SIZE + 1, __ATOMIC_SEQ_CST);
	peer.ring();
	auto begin = fake::Clock::now();
	stop();
	EXPECT_LT(fake::Clock::now() - begin, 5s);
	EXPECT_TRUE(kernel.wait(""));
}

TEST_F(Control, FeaturesComeAndGo)
{
	start();
	for (const std::string &feature : features)
		EXPECT_EQ(peer.get(feature), "1");
	stop();
	/* As they were: a node that we removed we could not make again. */
	for (const std::string &feature : features)
		EXPECT_EQ(peer.get(feature), "");
	EXPECT_EQ(peer.watch_count(), 0u);
	ask("poweroff");
	fake::advance(50ms);
	EXPECT_TRUE(kernel.wait(""));
}

TEST_F(Control, ToolstackWithoutFeatureNodes)
{
	peer.read_only = { features[0], features[1], features[2] };
	start();
	EXPECT_TRUE(fake::take_log().empty());
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("p"));
}

TEST_F(Control, NoWatch)
{
	peer.refuse_watches = "E2BIG";
	connect();
	EXPECT_EQ(xpv_control_start(), -XEN_E2BIG);
	for (const std::string &feature : features)
		EXPECT_EQ(peer.history(feature).size(), 1u);
}

TEST_F(Control, NoMemory)
{
	connect();
	for (unsigned int n = 1; n <= 4; n++) {
		fake::fail_allocation(n);
		EXPECT_EQ(xpv_control_start(), -XEN_ENOMEM) << n;
		fake::fail_allocation(0);
	}
}

TEST_F(Control, StopsWhileUserSpaceHasTime)
{
	kernel.timeout = 1;
	start();
	ask("poweroff");
	ASSERT_TRUE(acknowledged() && kernel.wait("p"));
	stop();
	fake::advance(1200ms);
	EXPECT_TRUE(kernel.wait("p"));
}

} // namespace
