/* SPDX-License-Identifier: GPL-2.0-only */
/* Users of /dev/xen/xenbus, over a xenstored that answers by itself or one that a test plays by hand. */
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/fake/xenbus.hh"
#include "tests/host/xenbus_store_fake.hh"

namespace xpv_test {

using Message = StorePeer::Message;

inline std::string request(std::uint32_t type, const std::string &body, std::uint32_t transaction = 0, std::uint32_t id = 0)
{
	return StorePeer::bytes_of(type, id, transaction, body);
}

class OpenNode {
public:
	OpenNode() { EXPECT_EQ(xpv_store_user_open(&node_, &node_.user), 0); }
	~OpenNode() { close(); }
	void close()
	{
		if (node_.user)
			xpv_store_user_close(std::exchange(node_.user, nullptr));
	}

	/* As a blocking write. */
	void write(const std::string &bytes)
	{
		for (std::size_t done = 0; done < bytes.size();) {
			ASSERT_TRUE(wait([&] { return xpv_store_user_writable(node_.user); }));
			long taken = write_some(bytes.substr(done));
			ASSERT_GE(taken, 0);
			done += static_cast<std::size_t>(taken);
		}
	}
	long write_some(const std::string &bytes)
	{
		return xpv_store_user_write(node_.user, bytes.data(), bytes.size());
	}
	/* What can be read, at most `size` bytes; waits for the first. */
	std::string read(std::size_t size)
	{
		const void *bytes = nullptr;
		long there = 0;
		wait([&] { return (there = xpv_store_user_peek(node_.user, &bytes)) != 0; });
		if (there <= 0)
			return "";
		std::string taken(static_cast<const char *>(bytes), std::min(size, static_cast<std::size_t>(there)));
		xpv_store_user_skip(node_.user, taken.size());
		return taken;
	}
	bool readable()
	{
		const void *bytes;
		return xpv_store_user_peek(node_.user, &bytes) != 0;
	}
	Message next()
	{
		std::string header, body;
		while (header.size() < sizeof(xsd_sockmsg)) {
			std::string part = read(sizeof(xsd_sockmsg) - header.size());
			if (part.empty())
				return {};
			header += part;
		}
		Message message;
		std::memcpy(&message.header, header.data(), sizeof(xsd_sockmsg));
		while (message.payload.size() < message.header.len)
			message.payload += read(message.header.len - message.payload.size());
		return message;
	}
	/* The next answer; events that come before it are put aside. */
	Message answer()
	{
		for (;;) {
			Message message = next();
			if (message.header.type != XS_WATCH_EVENT)
				return message;
			events.push_back(message.payload);
		}
	}
	std::string ask(std::uint32_t type, const std::string &body, std::uint32_t transaction = 0)
	{
		write(request(type, body, transaction));
		Message message = answer();
		EXPECT_TRUE(message.header.type == type || message.header.type == XS_ERROR);
		return (message.header.type == XS_ERROR ? "!" : "") + message.payload;
	}
	std::uint32_t begin()
	{
		return static_cast<std::uint32_t>(std::stoul(ask(XS_TRANSACTION_START, strings({ "" }))));
	}
	template <typename Condition>
	bool wait(Condition condition)
	{
		auto deadline = fake::Clock::now() + std::chrono::seconds(10);
		for (;;) {
			unsigned int seen;
			{
				std::lock_guard guard(node_.mutex);
				seen = node_.wakes;
			}
			if (condition())
				return true;
			std::unique_lock guard(node_.mutex);
			if (!node_.changed.wait_until(guard, deadline, [&] { return node_.wakes != seen; }))
				return false;
		}
	}

	std::vector<std::string> events;

private:
	xpv_store_node node_;
};

inline const std::string ok = strings({ "OK" });

class Users : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
	}
	/* A store that answers by itself. */
	void serve()
	{
		harness.emplace();
		served.start(harness->store.client);
		ASSERT_TRUE(harness->store.watches.start().ok());
		ASSERT_TRUE(
			harness->store.client.start(&served.page, served.doorbell(), harness->store.watches.sink()).ok());
		harness->started = true;
		xpv::set_store(&harness->store);
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	void by_hand(unsigned int timeout_ms = 60000)
	{
		harness.emplace(timeout_ms);
		ASSERT_TRUE(harness->start().ok());
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	void TearDown() override
	{
		xpv_store_users_stop();
		harness.reset();
		served.stop();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	/* Everything that was closed has ended. */
	void settle()
	{
		xpv_store_users_stop();
		ASSERT_EQ(xpv_store_users_start(), 0);
	}
	StorePeer &peer() { return harness->peer; }

	ServedStore served;
	std::optional<StoreHarness> harness;
	std::size_t allocations = 0;
};

} // namespace xpv_test
