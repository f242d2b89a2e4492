// SPDX-License-Identifier: GPL-2.0-only
/* The toolstack's requests over a served store. The suspend itself is a fake in this file. */
#include <gtest/gtest.h>

#include <atomic>

#include "suspend/suspend.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/suspend.hh"
#include "tests/host/xenbus_store_fake.hh"

namespace {

using namespace std::chrono_literals;

const std::string home = "/local/domain/7/";
const std::string shutdown_node = home + "control/shutdown";
const std::string sysrq_node = home + "control/sysrq";
const std::string error_node = home + "error/control/shutdown/error";
const std::string features[] = { home + "control/feature-poweroff", home + "control/feature-reboot",
				 home + "control/feature-suspend" };

/* What Linux was asked for, and S for a suspend. */
struct Linux : fake::Requests {
	std::atomic<int> suspend_result = 0;
	std::atomic<std::uint64_t> suspend_deadline_ms = 0;
	bool hold_suspend = false;

	void hold(bool on)
	{
		{
			std::lock_guard guard(mutex);
			hold_suspend = on;
		}
		changed.notify_all();
	}
};

Linux *the_linux;

bool logged(const std::vector<std::string> &log, const std::string &text)
{
	for (const std::string &line : log)
		if (line.find(text) != std::string::npos)
			return true;
	return false;
}

} // namespace

int xpv_suspend(uint64_t deadline_ms, char *reason, unsigned int reason_size)
{
	/* A2: it is for this thread to start all disks again. */
	EXPECT_TRUE(fake::noio_scope());
	the_linux->suspend_deadline_ms = deadline_ms;
	the_linux->add('S');
	std::unique_lock guard(the_linux->mutex);
	the_linux->changed.wait(guard, [] { return !the_linux->hold_suspend; });
	/* As rudely as it may be: filled to the last byte. */
	if (the_linux->suspend_result)
		std::memset(reason, 'x', reason_size);
	return the_linux->suspend_result;
}

namespace {

class Control : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
		fake::requests = the_linux = &kernel;
		store.client.set_timeout(20000);
		/* As libxl makes them. */
		peer.set(shutdown_node, "");
		peer.set(sysrq_node, "");
		for (const std::string &feature : features)
			peer.set(feature, "");
	}
	void TearDown() override
	{
		stop();
		store.client.stop();
		store.watches.stop();
		peer.stop();
		if (!timed_out) {
			EXPECT_EQ(peer.open_transactions(), 0u);
		}
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void connect()
	{
		peer.start(store.client);
		ASSERT_TRUE(store.watches.start().ok());
		ASSERT_TRUE(store.client.start(&peer.page, peer.doorbell(), store.watches.sink()).ok());
		xpv::set_store(&store);
	}
	void start()
	{
		connect();
		ASSERT_EQ(xpv_control_start(), 0);
		running = true;
	}
	void stop()
	{
		if (std::exchange(running, false))
			xpv_control_stop();
	}
	/*
	 * Everything that was written to the store before has been looked at. Two
	 * rounds: in the first, a call for the acknowledgement of a key before may
	 * be pending already, and overtake what we wait for.
	 */
	void settle()
	{
		for (int round = 0; round < 2; round++) {
			peer.set(sysrq_node, "~");
			ASSERT_TRUE(kernel.takes('~'));
			ASSERT_TRUE(peer.becomes(sysrq_node, ""));
		}
	}
	void ask(const std::string &request) { peer.set(shutdown_node, request); }
	bool acknowledged() { return peer.becomes(shutdown_node, ""); }

	Linux kernel;
	ServedStore peer;
	xpv::Store store;
	std::size_t allocations = 0;
	bool running = false;
	/* A transaction whose number came too late stays open. */
	bool timed_out = false;
};

TEST_F(Control, PowersOffOnce)
{
	start();
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
	/* The acknowledgement's own event is no request. */
	settle();
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
		settle();
		EXPECT_EQ(peer.get(shutdown_node), request);
	}
	EXPECT_TRUE(kernel.wait("pp"));
	EXPECT_TRUE(logged(fake::take_log(), "suspend was asked for while powering off: refused"));
}

TEST_F(Control, LeavesNonsense)
{
	start();
	for (const std::string &nonsense :
	     { std::string("frobnicate\n%s%n"), std::string(4000, 'A'), std::string(24, 'B'), std::string(23, 'C'),
	       std::string("poweroff\0", 9), std::string(1, '\0') }) {
		ask(nonsense);
		settle();
		EXPECT_EQ(peer.get(shutdown_node), nonsense);
	}
	EXPECT_TRUE(logged(fake::take_log(), "says 'frobnicate?%s%n'"));
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
		settle();
	}
	EXPECT_LE(fake::take_log().size(), 5u);
}

TEST_F(Control, NodesThatVanish)
{
	start();
	peer.erase(home + "control");
	settle();
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
	settle();
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
	settle();
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
	settle();
	peer.interfere = 1000000;
	unsigned int before = peer.requests;
	ask("poweroff");
	fake::advance(500ms);
	EXPECT_LT(peer.requests - before, 50u);
	EXPECT_TRUE(kernel.wait(""));
	EXPECT_TRUE(logged(fake::take_log(), "cannot serve control/shutdown"));
	peer.interfere = 0;
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, MayNotAcknowledge)
{
	peer.read_only = { shutdown_node };
	start();
	ask("poweroff");
	settle();
	EXPECT_TRUE(kernel.wait(""));
}

TEST_F(Control, StoreThatDoesNotAnswerDoesNotKeepLinuxUp)
{
	timed_out = true;
	store.client.set_timeout(2000);
	start();
	settle();
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
	settle();
	/* An index that no honest store writes: the client gives the connection up. */
	__atomic_store_n(&peer.page.rsp_prod, peer.page.rsp_cons + XENSTORE_RING_SIZE + 1, __ATOMIC_SEQ_CST);
	peer.ring();
	auto begin = fake::Clock::now();
	stop();
	EXPECT_LT(fake::Clock::now() - begin, 5s);
	EXPECT_TRUE(kernel.wait(""));
}

/* ---- Forced ---- */

TEST_F(Control, ForcesPowerOff)
{
	kernel.timeout = 1;
	start();
	auto begin = fake::Clock::now();
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("pP"));
	EXPECT_GE(fake::Clock::now() - begin, 990ms);
	EXPECT_TRUE(logged(fake::take_log(), "did not power off in time"));
	/* Once. */
	fake::advance(1500ms);
	EXPECT_TRUE(kernel.wait("pP"));
}

TEST_F(Control, ForcesReboot)
{
	kernel.timeout = 1;
	start();
	ask("reboot");
	EXPECT_TRUE(kernel.wait("rR"));
}

/* Who is told to stop must not come back; and the time begins anew, once. */
TEST_F(Control, PowerOffOvertakesReboot)
{
	kernel.timeout = 2;
	start();
	ask("reboot");
	EXPECT_TRUE(acknowledged() && kernel.wait("r"));
	fake::advance(500ms);
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("rp"));
	EXPECT_TRUE(kernel.wait("rpP"));
}

TEST_F(Control, AskingAgainGivesNoMoreTime)
{
	kernel.timeout = 1;
	start();
	auto begin = fake::Clock::now();
	ask("poweroff");
	ASSERT_TRUE(acknowledged() && kernel.wait("p"));
	fake::advance(700ms);
	ask("poweroff");
	EXPECT_TRUE(kernel.wait("ppP"));
	EXPECT_LT(fake::Clock::now() - begin, 1600ms);
}

TEST_F(Control, ForcesNothingOnceLinuxGoesDown)
{
	kernel.timeout = 1;
	start();
	ask("poweroff");
	ASSERT_TRUE(acknowledged() && kernel.wait("p"));
	xpv_control_going_down();
	fake::advance(1500ms);
	ask("poweroff");
	settle();
	EXPECT_TRUE(kernel.wait("p"));
	EXPECT_EQ(peer.get(shutdown_node), "poweroff");
}

TEST_F(Control, WithoutALimitEachRequestIsTheFirst)
{
	kernel.timeout = 0;
	start();
	for (const char *sequence : { "p", "pr", "prS", "prSp" }) {
		switch (sequence[std::strlen(sequence) - 1]) {
		case 'p':
			ask("poweroff");
			break;
		case 'r':
			ask("reboot");
			break;
		default:
			ask("suspend");
		}
		EXPECT_TRUE(kernel.wait(sequence));
		EXPECT_TRUE(acknowledged());
		settle();
	}
}

/* ---- Suspend ---- */

TEST_F(Control, SuspendsAndGoesOn)
{
	start();
	peer.set(error_node, "of the last time");
	kernel.hold(true);
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_TRUE(acknowledged());
	/* As after a restore: nobody here knows us yet. */
	for (const std::string &feature : features)
		peer.set(feature, "");
	kernel.hold(false);
	for (const std::string &feature : features)
		EXPECT_TRUE(peer.becomes(feature, "1"));
	EXPECT_FALSE(peer.get(error_node));
	/* Back to back. */
	ask("suspend");
	EXPECT_TRUE(kernel.wait("SS"));
}

/* B1: what the store takes for a request after the acknowledgement is time of the suspend. */
TEST_F(Control, DeadlineOfASuspendCountsFromBeforeTheAcknowledgement)
{
	start();
	std::atomic<std::uint64_t> acknowledged_ms = 0;
	peer.on_change = [&](const std::string &path) {
		if (path != shutdown_node || peer.get(path) != "")
			return;
		acknowledged_ms = xpv_now_ms();
		xpv_sleep_ms(100);
	};
	std::uint64_t before_ms = xpv_now_ms();
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_GE(kernel.suspend_deadline_ms, before_ms + 45000);
	EXPECT_LE(kernel.suspend_deadline_ms, acknowledged_ms + 45000);
	stop();
}

TEST_F(Control, SuspendThatFailsSaysWhy)
{
	kernel.suspend_result = -XEN_EBUSY;
	start();
	ask("suspend");
	EXPECT_TRUE(kernel.wait("S"));
	EXPECT_TRUE(acknowledged());
	EXPECT_TRUE(peer.becomes(error_node, "16 suspend: " + std::string(127, 'x')));
	settle();
	EXPECT_TRUE(logged(fake::take_log(), "cannot suspend: xxx"));
	kernel.suspend_result = 0;
	ask("suspend");
	EXPECT_TRUE(kernel.wait("SS"));
	settle();
	EXPECT_FALSE(peer.get(error_node));
}

/* The store's events go on being served meanwhile: a device may need them to suspend. */
TEST_F(Control, SuspendAskedForDuringASuspend)
{
	start();
	kernel.hold(true);
	ask("suspend");
	ASSERT_TRUE(kernel.wait("S") && acknowledged());
	ask("suspend");
	settle();
	EXPECT_EQ(peer.get(shutdown_node), "suspend");
	EXPECT_TRUE(kernel.wait("S"));
	kernel.hold(false);
	EXPECT_TRUE(kernel.wait("SS"));
	EXPECT_TRUE(acknowledged());
}

TEST_F(Control, ShutdownAskedForDuringASuspend)
{
	start();
	kernel.hold(true);
	ask("suspend");
	ASSERT_TRUE(kernel.wait("S") && acknowledged());
	ask("nonsense");
	settle();
	ask("reboot");
	settle();
	kernel.hold(false);
	EXPECT_TRUE(kernel.wait("Sr"));
	EXPECT_TRUE(acknowledged());
}

/* ---- SysRq ---- */

TEST_F(Control, SysRq)
{
	peer.set(sysrq_node, "h");
	start();
	EXPECT_TRUE(kernel.wait("h"));
	EXPECT_TRUE(peer.becomes(sysrq_node, ""));
	peer.interfere = 2;
	peer.set(sysrq_node, "s");
	EXPECT_TRUE(kernel.wait("hs"));
	EXPECT_TRUE(peer.becomes(sysrq_node, ""));
	/* Also, and above all, while something hangs. */
	ask("poweroff");
	ASSERT_TRUE(acknowledged() && kernel.wait("hsp"));
	xpv_control_going_down();
	peer.set(sysrq_node, "b");
	EXPECT_TRUE(kernel.wait("hspb"));
}

TEST_F(Control, SysRqNonsense)
{
	start();
	for (const std::string &nonsense : { std::string("ss"), std::string(3000, 'b'), std::string(1, '\0'),
					     std::string("\n"), std::string("\xff"), std::string("b\0", 2) }) {
		peer.set(sysrq_node, nonsense);
		/* A request of the other kind, to wait for. */
		ask("poweroff");
		ASSERT_TRUE(acknowledged());
		EXPECT_EQ(peer.get(sysrq_node), nonsense);
	}
	EXPECT_TRUE(kernel.wait("pppppp"));
}

TEST_F(Control, SysRqVanishes)
{
	start();
	peer.erase(sysrq_node);
	ask("poweroff");
	EXPECT_TRUE(acknowledged() && kernel.wait("p"));
	settle();
}

/* ---- Coming and going ---- */

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
	peer.refuse_watches = true;
	connect();
	EXPECT_EQ(xpv_control_start(), -XEN_ENOSPC);
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
