// SPDX-License-Identifier: GPL-2.0-only
/* A guest whose user space does not obey in time is forced. */
#include <gtest/gtest.h>

#include <cstring>

#include "tests/host/suspend_control_fixture.hh"

namespace {

using namespace xpv_test;

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

/* A power-off replaces a reboot in progress, so that the domain stays down. The time limit starts again, once. */
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
	fake::settle();
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
		fake::settle();
	}
}

} // namespace
