// SPDX-License-Identifier: GPL-2.0-only
/* The table of C functions that FrontendDriver makes of a class. The device is a fake in this file. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/host/fake/shim.hh"
#include "xenbus/frontend_driver.hh"

using namespace xpv;

struct xpv_device {
	xpv_device_context *context = nullptr;
};

extern "C" {
void xpv_device_set_context(xpv_device *device, xpv_device_context *context)
{
	device->context = context;
}
xpv_device_context *xpv_device_get_context(const xpv_device *device)
{
	return device->context;
}
}

namespace {

using Calls = std::vector<std::string>;
Calls calls;
int result; /* of the methods that can fail: 0 or an errno */

Status answer(const std::string &call)
{
	calls.push_back(call);
	return status(-result);
}

/* No more than every driver has. */
struct Small : xpv_device_context {
	~Small() { calls.emplace_back("destroyed"); }
	static Result<Owned<Small>> probe(xpv_device *)
	{
		if (result)
			return Error(result);
		return xpv::make<Small>(XPV_MAY_SLEEP);
	}
	Status negotiate() { return answer("negotiate"); }
	Status connect() { return answer("connect"); }
	void disconnect() { calls.emplace_back("disconnect"); }
};

struct Before {
	uint64_t word = 1;
};

/* All that a driver can have, in an object that does not begin with the context. */
struct Whole : Before, xpv_device_context {
	static constexpr bool connects_first = true;
	static Result<Owned<Whole>> probe(xpv_device *) { return xpv::make<Whole>(XPV_MAY_SLEEP); }
	Status negotiate() { return {}; }
	Status connect() { return {}; }
	void disconnect() {}
	void backend_changed() { note("backend_changed"); }
	void connection_lost() { note("connection_lost"); }
	void retire() { note("retire"); }
	void hold() { note("hold"); }
	Status drain(uint64_t deadline_ms) { return answer("drain " + std::to_string(deadline_ms + word)); }
	void go_on(xpv_resume_kind kind) { note(kind == XPV_RESUME_RESTORED ? "restored" : "cancelled"); }

	void note(const char *call) { calls.push_back(call + std::to_string(word)); }
};

constexpr const char *keys[] = { "key", nullptr };
constinit const xpv_frontend_driver small = FrontendDriver<Small>::table("small");
constinit const xpv_frontend_driver whole = FrontendDriver<Whole>::table("whole", keys);

struct FrontendDrivers : testing::Test {
	FrontendDrivers()
	{
		calls.clear();
		result = 0;
	}
	~FrontendDrivers() override { EXPECT_EQ(fake::live_allocations(), allocations); }

	std::size_t allocations = fake::live_allocations();
	xpv_device device;
};

TEST_F(FrontendDrivers, CallsTheMethodsOfTheDevicesObject)
{
	ASSERT_EQ(whole.probe(&device), 0);
	EXPECT_EQ(whole.negotiate(&device), 0);
	EXPECT_EQ(whole.connect(&device), 0);
	whole.backend_changed(&device);
	whole.hold(&device);
	EXPECT_EQ(whole.drain(&device, 40), 0);
	whole.go_on(&device, XPV_RESUME_CANCELLED);
	whole.go_on(&device, XPV_RESUME_RESTORED);
	whole.connection_lost(&device);
	whole.retire(&device);
	whole.disconnect(&device);
	whole.remove(&device);
	EXPECT_EQ(calls, (Calls{ "backend_changed1", "hold1", "drain 41", "cancelled1", "restored1", "connection_lost1",
				 "retire1" }));
	EXPECT_EQ(device.context, nullptr);
}

TEST_F(FrontendDrivers, PassesErrorsOn)
{
	ASSERT_EQ(small.probe(&device), 0);
	result = XEN_EIO;
	EXPECT_EQ(small.negotiate(&device), -XEN_EIO);
	result = XEN_EAGAIN;
	EXPECT_EQ(small.connect(&device), -XEN_EAGAIN);
	small.remove(&device);

	result = 0;
	ASSERT_EQ(whole.probe(&device), 0);
	result = XEN_ETIMEDOUT;
	EXPECT_EQ(whole.drain(&device, 0), -XEN_ETIMEDOUT);
	whole.remove(&device);
}

TEST_F(FrontendDrivers, DestroysTheObjectAtRemove)
{
	ASSERT_EQ(small.probe(&device), 0);
	EXPECT_TRUE(calls.empty());
	small.remove(&device);
	EXPECT_EQ(calls, Calls{ "destroyed" });
}

TEST_F(FrontendDrivers, LeavesNoObjectWhenProbeFails)
{
	result = XEN_ENODEV;
	EXPECT_EQ(small.probe(&device), -XEN_ENODEV);
	EXPECT_EQ(device.context, nullptr);
	EXPECT_TRUE(calls.empty());
}

TEST_F(FrontendDrivers, TheTableHasNoFunctionForWhatTheClassHasNot)
{
	EXPECT_STREQ(small.name, "host_test");
	EXPECT_STREQ(small.device_type, "small");
	EXPECT_EQ(small.backend_keys, nullptr);
	EXPECT_EQ(whole.backend_keys, keys);
	EXPECT_FALSE(small.connects_first);
	EXPECT_TRUE(whole.connects_first);
	EXPECT_EQ(small.backend_changed, nullptr);
	EXPECT_EQ(small.connection_lost, nullptr);
	EXPECT_EQ(small.retire, nullptr);
	EXPECT_EQ(small.hold, nullptr);
	EXPECT_EQ(small.drain, nullptr);
	EXPECT_EQ(small.go_on, nullptr);
}

} // namespace
