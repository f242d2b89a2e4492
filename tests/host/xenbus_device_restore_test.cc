// SPDX-License-Identifier: GPL-2.0-only
/* Devices of a domain that is restored connect again, to the backends that the new toolstack made. */
#include <gtest/gtest.h>

#include "tests/host/xenbus_device_fixture.hh"

namespace {

using namespace xpv_test;

TEST_F(RestoredDevices, ConnectAnewAllTogether)
{
	start_connected({ "1", "2", "3", "4" });
	the_calls.slow_ms = 100;
	std::size_t watches = peer.watch_count();
	restore([&] {
		for (const char *id : { "1", "2", "3", "4" })
			attach_elsewhere(id);
	});
	for (const std::string id : { "1", "2", "3", "4" }) {
		EXPECT_TRUE(peer.becomes(frontend(id) + "/state", "4"));
		EXPECT_EQ(the_calls.get(id), "pnclnc");
		EXPECT_EQ(xpv_device_backend_path(the_calls.device[id]), backend(id, 3));
		EXPECT_EQ(xpv_device_backend_domain(the_calls.device[id]).value, 3);
	}
	EXPECT_GT(the_calls.most_overlapping, 1);
	EXPECT_TRUE(peer.watches_become(watches));
	/* The new backend is watched. */
	peer.set(backend("2", 3) + "/online", "0");
	peer.set(backend("2", 3) + "/state", "5");
	EXPECT_TRUE(the_calls.wait("2", "pnclncd"));
}

TEST_F(RestoredDevices, ThoseKnownDoNotWaitForTheDirectories)
{
	start_connected({ "1", "2" });
	restore([&] {
		attach_elsewhere("1");
		attach_elsewhere("3");
		peer.hold_directories = true;
	});
	EXPECT_TRUE(the_calls.wait("1", "pnclnc")) << the_calls.get("1");
	EXPECT_EQ(xpv_device_backend_path(the_calls.device["1"]), backend("1", 3));
	EXPECT_EQ(the_calls.get("2"), "pnc") << "the directory tells that it is gone";
	EXPECT_EQ(the_calls.get("3"), "");
	peer.answer_directories();
	EXPECT_TRUE(the_calls.wait("2", "pncdr"));
	EXPECT_TRUE(the_calls.wait("3", "pnc"));
	EXPECT_EQ(the_calls.get("1"), "pnclnc");
	EXPECT_EQ(peer.history(frontend("1") + "/state"), (std::vector<std::string>{ "1", "1", "3", "4" }));
}

TEST_F(RestoredDevices, CancelledChangesNothing)
{
	start_connected({ "1" });
	suspend();
	fake::Thread asks([&] {
		char value[8];
		EXPECT_EQ(xpv_store_read(XPV_STORE_NO_TRANSACTION, "device/vbd/1/state", value, sizeof(value)), 1);
	});
	unsigned int before = peer.requests;
	fake::advance(100ms);
	EXPECT_EQ(peer.requests, before);
	cancel();
	asks.join();
	EXPECT_EQ(the_calls.get("1"), "pnc");
	peer.set(backend("1") + "/online", "0");
	peer.set(backend("1") + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pncd"));
}

TEST_F(RestoredDevices, BackendMayComeLate)
{
	start_connected({ "1" });
	restore([&] { attach_elsewhere("1", "1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncl"));
	fake::advance(100ms);
	EXPECT_EQ(the_calls.get("1"), "pncl");
	peer.set(backend("1", 3) + "/state", "2");
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
}

TEST_F(RestoredDevices, SomeVanishAndOthersAppear)
{
	start_connected({ "1", "2" });
	restore([&] {
		attach_elsewhere("2");
		attach_elsewhere("3");
	});
	EXPECT_TRUE(peer.becomes(frontend("2") + "/state", "4"));
	EXPECT_TRUE(peer.becomes(frontend("3") + "/state", "4"));
	/* connection_lost() is not called: the device itself is gone. */
	EXPECT_TRUE(the_calls.wait("1", "pncdr"));
	EXPECT_EQ(the_calls.get("3"), "pnc");
}

TEST_F(RestoredDevices, DetachRightAfterwards)
{
	start_connected({ "1" });
	automatic = false;
	restore([&] {
		attach_elsewhere("1", "5");
		peer.set(backend("1", 3) + "/online", "0");
	});
	EXPECT_TRUE(the_calls.wait("1", "pncld"));
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "6"));
	peer.set(backend("1", 3) + "/state", "6");
	peer.erase(frontend("1"));
	EXPECT_TRUE(the_calls.wait("1", "pncldr"));
}

TEST_F(RestoredDevices, UnbindWhileItWaitsForItsBackend)
{
	start_connected({ "1" });
	restore([&] { attach_elsewhere("1", "1"); });
	EXPECT_TRUE(the_calls.wait("1", "pncl"));
	unregister();
	EXPECT_EQ(the_calls.get("1"), "pncldr");
}

TEST_F(RestoredDevices, TransactionsAreDead)
{
	start_bus();
	xpv_store_transaction old;
	ASSERT_EQ(xpv_store_transaction_start(&old), 0);
	restore([&] { peer.set("/local/domain/7/name", "other"); });
	EXPECT_EQ(xpv_store_write(old, "name", "x"), -XEN_EAGAIN);
	EXPECT_EQ(xpv_store_transaction_end(old, true), -XEN_EAGAIN);
	xpv_store_transaction fresh;
	ASSERT_EQ(xpv_store_transaction_start(&fresh), 0);
	EXPECT_NE(fresh.value, old.value) << "whatever the store's own numbers are";
	EXPECT_EQ(xpv_store_transaction_end(fresh, false), 0);
}

TEST_F(RestoredDevices, DeadConnectionIsRevived)
{
	start_connected({ "1" });
	__atomic_store_n(&peer.page.rsp_prod, peer.page.rsp_prod + 5000, __ATOMIC_SEQ_CST);
	peer.ring();
	EXPECT_TRUE(store.client.dead());
	restore([&] { attach_elsewhere("1"); });
	EXPECT_FALSE(store.client.dead());
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
}

TEST_F(RestoredDevices, StepUnderWayEndsBeforeTheSuspend)
{
	suspend_in_handshake();
	EXPECT_EQ(the_calls.overlapping, 0);
	const std::string before = the_calls.get("1");
	fake::advance(200ms);
	EXPECT_EQ(the_calls.get("1"), before) << "no step is begun";
	peer.become_new();
	attach_elsewhere("1");
	std::size_t writes = peer.history(frontend("1") + "/state").size();
	xpv_bus_restored();
	peer.go_on();
	ASSERT_TRUE(store.client.restart(&peer.page).ok());
	fake::advance(100ms);
	EXPECT_EQ(peer.history(frontend("1") + "/state").size(), writes) << "nothing of the old handshake is written";
	xpv_bus_go_on();
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(the_calls.get("1").back(), 'c');
}

TEST_F(RestoredDevices, CancelledInTheMiddleOfAHandshake)
{
	suspend_in_handshake();
	fake::advance(100ms);
	cancel();
	EXPECT_TRUE(the_calls.wait("1", "pnc"));
	EXPECT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
}

TEST_F(RestoredDevices, TwiceInShortOrder)
{
	start_connected({ "1" });
	restore([&] { attach_elsewhere("1"); });
	restore([&] { attach("1", "1", "2", 5); });
	ASSERT_TRUE(peer.becomes(frontend("1") + "/state", "4"));
	EXPECT_EQ(xpv_device_backend_path(the_calls.device["1"]), backend("1", 5));
}

/*
 * xenstored grants no watch for an hour. Meanwhile what they are for is
 * polled, and once it does they are registered.
 */
TEST_F(RestoredDevices, WatchesRefusedForAnHourAreRegisteredInTheEnd)
{
	start_connected({ "1" });
	const std::size_t watches = peer.watch_count();
	restore([&] {
		attach_elsewhere("1");
		peer.refuse_watches = "E2BIG";
	});
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
	fake::advance(50min);
	EXPECT_EQ(peer.watch_count(), 0u);
	/* The watch on the directory; and that on a backend's state. */
	attach_elsewhere("2");
	EXPECT_TRUE(the_calls.wait("2", "pnc", 70s));
	peer.set(backend("1", 3) + "/online", "0");
	peer.set(backend("1", 3) + "/state", "5");
	EXPECT_TRUE(the_calls.wait("1", "pnclncd", 3s));
	fake::advance(10min);
	EXPECT_EQ(peer.watch_count(), 0u);

	peer.refuse_watches = nullptr;
	fake::advance(70s);
	EXPECT_EQ(peer.watch_count(), watches + 1);
	peer.set(backend("2", 3) + "/online", "0");
	peer.set(backend("2", 3) + "/state", "5");
	fake::settle();
	EXPECT_TRUE(the_calls.wait("2", "pncd", 0s)) << "by the watch, not by a poll";
}

/* Every disk is stopped, so that no memory for a worker can be reclaimed through them. */
TEST_F(RestoredDevices, ConnectWithoutMemoryForAnotherWorker)
{
	start_connected({ "1", "2", "3" });
	const std::size_t watches = peer.watch_count();
	fake::only_rescuers(true);
	restore([&] {
		for (const char *id : { "1", "2", "3" })
			attach_elsewhere(id);
	});
	for (const std::string id : { "1", "2", "3" })
		EXPECT_TRUE(the_calls.wait(id, "pnclnc")) << the_calls.get(id);
	EXPECT_TRUE(peer.watches_become(watches));
	fake::only_rescuers(false);
}

/* Nor may those that start them again wait for memory that is reclaimed through them. */
TEST_F(RestoredDevices, NothingWaitsForIoWhileDisksAreStopped)
{
	start_connected({ "1", "2" });
	fake::forbid_io(true);
	{
		xpv::NoIoScope as_the_suspend;
		restore([&] {
			for (const char *id : { "1", "2", "3" })
				attach_elsewhere(id);
		});
	}
	EXPECT_TRUE(the_calls.wait("1", "pnclnc"));
	EXPECT_TRUE(the_calls.wait("2", "pnclnc"));
	EXPECT_TRUE(the_calls.wait("3", "pnc"));
	fake::settle();
	EXPECT_EQ(fake::io_waits(), 0u);
	fake::forbid_io(false);
}

} // namespace
