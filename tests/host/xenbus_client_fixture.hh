/* SPDX-License-Identifier: GPL-2.0-only */
/* The store client over a xenstored that a test plays by hand. */
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "tests/host/fake/clock.hh"
#include "tests/host/fake/shim.hh"
#include "tests/host/xenbus_store_peer.hh"

namespace xpv_test {

class Client : public testing::Test {
protected:
	void SetUp() override
	{
		allocations = fake::live_allocations();
		fake::take_log();
	}
	void TearDown() override
	{
		harness.reset();
		EXPECT_EQ(fake::live_allocations(), allocations);
		EXPECT_EQ(fake::live_threads(), 0u);
	}
	void start(unsigned int timeout_ms = 60000)
	{
		harness.emplace(timeout_ms);
		ASSERT_TRUE(harness->start().ok());
	}
	StorePeer &peer() { return harness->peer; }

	static fake::Future<std::pair<int, std::string>> read(std::string path, std::size_t size = 64)
	{
		return fake::async([=] {
			std::string value(size, 0);
			int result = xpv_store_read(XPV_STORE_NO_TRANSACTION, path.c_str(), value.data(), size);
			value.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
			return std::pair(result, value);
		});
	}

	std::optional<StoreHarness> harness;
	std::size_t allocations = 0;
};

using Answer = std::pair<int, std::string>;

} // namespace xpv_test
