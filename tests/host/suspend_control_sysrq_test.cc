// SPDX-License-Identifier: GPL-2.0-only
/* SysRq keys that the toolstack sends. */
#include <gtest/gtest.h>

#include <string>

#include "tests/host/suspend_control_fixture.hh"

namespace {

using namespace xpv_test;

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
	fake::settle();
}

} // namespace
