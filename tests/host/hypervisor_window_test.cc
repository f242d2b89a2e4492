// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows over a page table and TLBs of our own. The other host tests have
 * fake/window.cc in the place of this code, so it is included, not linked.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "hypervisor/window.cc"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/hypervisor.hh"
#include "tests/host/fake/shim.hh"

namespace {

constexpr uint64_t user = 4;

using fake::entry_at;
using fake::flushes;
using fake::ranges;

xpv_pfn frame(uint64_t number)
{
	return { number };
}

class Window : public testing::Test {
protected:
	Window()
	{
		static bool started = (xpv_windows_start(), true);
		EXPECT_TRUE(started);
		ranges = {};
		before_ = fake::live_allocations();
		(void)fake::take_log();
	}
	~Window() override
	{
		fake::on_flush = nullptr;
		EXPECT_EQ(fake::live_allocations(), before_ + left_behind_);
	}

	[[nodiscard]] static uint64_t entry(xpv_window *window, unsigned int index)
	{
		return entry_at(static_cast<char *>(xpv_window_address(window)) + index * 4096ul);
	}
	static void interfere(xpv_window *window, unsigned int index, uint64_t bits)
	{
		entry_at(static_cast<char *>(xpv_window_address(window)) + index * 4096ul) = bits;
	}
	template <typename Function>
	[[nodiscard]] static unsigned int flushes_of(Function function)
	{
		unsigned int before = flushes;
		function();
		return flushes - before;
	}

	/* Placeholders of ranges that could not be given back. */
	std::size_t left_behind_ = 0;

private:
	std::size_t before_;
};

TEST_F(Window, StartsEmpty)
{
	xpv_window *window = xpv_window_create(3, "test");
	ASSERT_NE(window, nullptr);
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(entry(window, i), 0u);
	xpv_window_destroy(window);
	EXPECT_TRUE(ranges.live.empty());
	xpv_window_destroy(nullptr);
}

TEST_F(Window, MapsAndUnmaps)
{
	xpv_window *window = xpv_window_create(2, "test");
	EXPECT_EQ(xpv_window_map(window, 1, frame(0x1234), XPV_WINDOW_READ_ONLY), 0);
	EXPECT_EQ(entry(window, 1), 0x8000000001234021ull);
	EXPECT_EQ(entry(window, 0), 0u);
	EXPECT_EQ(xpv_window_map(window, 1, frame(0x1235), XPV_WINDOW_READ_WRITE), -XEN_EBUSY);
	EXPECT_EQ(xpv_window_unmap(window, 1), 0);
	EXPECT_EQ(entry(window, 1), 0u);
	EXPECT_EQ(xpv_window_unmap(window, 1), 0);
	EXPECT_EQ(xpv_window_map(window, 1, frame(0x1235), XPV_WINDOW_READ_WRITE), 0);
	EXPECT_EQ(entry(window, 1), 0x8000000001235063ull);
	xpv_window_destroy(window);
	EXPECT_TRUE(ranges.live.empty());
}

TEST_F(Window, RefusesNonsense)
{
	xpv_window *window = xpv_window_create(2, "test");
	EXPECT_EQ(xpv_window_map(window, 2, frame(1), XPV_WINDOW_READ_WRITE), -XEN_ERANGE);
	EXPECT_EQ(xpv_window_map(window, 0, frame(1ull << 40), XPV_WINDOW_READ_WRITE), -XEN_EINVAL);
	EXPECT_EQ(entry(window, 0), 0u);
	EXPECT_EQ(xpv_window_unmap(window, 2), -XEN_ERANGE);
	EXPECT_EQ(xpv_window_unmap_run(window, 1, 2), -XEN_ERANGE);
	EXPECT_EQ(xpv_window_unmap_run(window, 3, 0), -XEN_ERANGE);
	EXPECT_EQ(xpv_window_unmap_run(window, 1, ~0u), -XEN_ERANGE);
	EXPECT_EQ(xpv_window_unmap_run(window, 2, 0), 0);
	xpv_window_destroy(window);
}

TEST_F(Window, FlushesOnceAndOnlyWhereNeeded)
{
	xpv_window *window = xpv_window_create(8, "test");
	EXPECT_EQ(flushes_of([&] {
			  for (unsigned int i = 0; i < 8; i++)
				  EXPECT_EQ(xpv_window_map(window, i, frame(i + 1), XPV_WINDOW_READ_WRITE), 0);
		  }),
		  0u);
	EXPECT_EQ(flushes_of([&] { EXPECT_EQ(xpv_window_unmap_run(window, 1, 6), 0); }), 1u);
	EXPECT_EQ(flushes_of([&] { EXPECT_EQ(xpv_window_unmap_run(window, 1, 6), 0); }), 0u);
	EXPECT_EQ(entry(window, 6), 0u);
	EXPECT_NE(entry(window, 7), 0u);
	EXPECT_EQ(flushes_of([&] { xpv_window_destroy(window); }), 1u);
}

TEST_F(Window, NoPageIsReusedBeforeTheFlush)
{
	static xpv_window *window;
	static fake::Thread mapper;
	static std::atomic<bool> mapped;
	static bool mapped_early;
	window = xpv_window_create(1, "test");
	EXPECT_EQ(xpv_window_map(window, 0, frame(1), XPV_WINDOW_READ_WRITE), 0);
	fake::on_flush = [] {
		fake::on_flush = nullptr;
		mapper = fake::Thread([] {
			EXPECT_EQ(xpv_window_map(window, 0, frame(2), XPV_WINDOW_READ_WRITE), 0);
			mapped = true;
		});
		fake::advance(std::chrono::milliseconds(50));
		mapped_early = mapped;
	};
	EXPECT_EQ(xpv_window_unmap(window, 0), 0);
	mapper.join();
	EXPECT_FALSE(mapped_early);
	EXPECT_EQ(entry(window, 0) >> 12 & 0xffff, 2u);
	xpv_window_destroy(window);
}

TEST_F(Window, LeavesAThirdPartysMappingAlone)
{
	constexpr uint64_t foreign = 0x8000000000077063;
	xpv_window *window = xpv_window_create(3, "test");
	for (unsigned int i = 0; i < 3; i++)
		EXPECT_EQ(xpv_window_map(window, i, frame(i + 1), XPV_WINDOW_READ_WRITE), 0);
	interfere(window, 1, foreign);
	EXPECT_EQ(xpv_window_unmap(window, 1), -XEN_EIO);
	EXPECT_EQ(xpv_window_map(window, 1, frame(9), XPV_WINDOW_READ_WRITE), -XEN_EBUSY);
	EXPECT_EQ(xpv_window_unmap_run(window, 0, 3), -XEN_EIO);
	EXPECT_EQ(entry(window, 0), 0u);
	EXPECT_EQ(entry(window, 1), foreign);
	EXPECT_EQ(entry(window, 2), 0u);
	auto at = reinterpret_cast<uintptr_t>(xpv_window_address(window));
	xpv_window_destroy(window);
	EXPECT_EQ(ranges.live.at(at).entries.at(1), foreign);
	left_behind_ = 1;
	auto log = fake::take_log();
	ASSERT_EQ(log.size(), 1u);
	EXPECT_NE(log[0].find("window test: other code changed"), std::string::npos);
}

TEST_F(Window, NoticesAMappingInAPageThatShowedNothing)
{
	constexpr uint64_t foreign = 0x8000000000077063;
	xpv_window *window = xpv_window_create(2, "test");
	interfere(window, 1, foreign);
	EXPECT_EQ(xpv_window_map(window, 1, frame(1), XPV_WINDOW_READ_WRITE), -XEN_EIO);
	auto at = reinterpret_cast<uintptr_t>(xpv_window_address(window));
	xpv_window_destroy(window);
	EXPECT_EQ(ranges.live.at(at).entries.at(1), foreign);
	left_behind_ = 1;
}

TEST_F(Window, RefusesPageTablesThatUserSpaceMayUse)
{
	ranges.placeholder_bits |= user;
	EXPECT_EQ(xpv_window_create(2, "test"), nullptr);
	EXPECT_TRUE(ranges.live.empty());
}

TEST_F(Window, RefusesPlaceholdersThatAreNot)
{
	ranges.placeholder_bits |= 2; /* writable */
	EXPECT_EQ(xpv_window_create(2, "test"), nullptr);
	EXPECT_EQ(ranges.live.size(), 1u);
	left_behind_ = 1;
}

TEST_F(Window, SurvivesLackOfMemory)
{
	for (unsigned int n = 1; n <= 2; n++) {
		fake::fail_allocation(n);
		EXPECT_EQ(xpv_window_create(2, "test"), nullptr);
	}
	fake::fail_allocation(0);
	ranges.out_of_space = true;
	EXPECT_EQ(xpv_window_create(2, "test"), nullptr);
}

TEST_F(Window, ListsWhatItShows)
{
	struct Seen {
		std::vector<std::string> windows;
		std::vector<xpv_window_page> pages;
	} seen;
	static const xpv_windows_visitor visitor = {
		.window =
			[](xpv_windows_context *context, const char *name, const void *, unsigned int pages) {
				reinterpret_cast<Seen *>(context)->windows.push_back(name + std::to_string(pages));
			},
		.page = [](xpv_windows_context *context,
			   const xpv_window_page *page) { reinterpret_cast<Seen *>(context)->pages.push_back(*page); },
	};
	auto visit = [&] {
		seen = {};
		xpv_windows_visit(&visitor, reinterpret_cast<xpv_windows_context *>(&seen));
	};

	xpv_window *first = xpv_window_create(2, "first"), *second = xpv_window_create(3, "second");
	EXPECT_EQ(xpv_window_map(second, 2, frame(7), XPV_WINDOW_READ_ONLY), 0);
	visit();
	EXPECT_EQ(seen.windows, (std::vector<std::string>{ "first2", "second3" }));
	ASSERT_EQ(seen.pages.size(), 1u);
	EXPECT_EQ(seen.pages[0].address, static_cast<char *>(xpv_window_address(second)) + 8192);
	EXPECT_TRUE(seen.pages[0].asked_frame == frame(7) && seen.pages[0].frame == frame(7));
	EXPECT_EQ(seen.pages[0].asked_access, XPV_WINDOW_READ_ONLY);
	EXPECT_TRUE(seen.pages[0].present && seen.pages[0].no_execute && seen.pages[0].accessed);
	EXPECT_FALSE(seen.pages[0].writable || seen.pages[0].user || seen.pages[0].dirty);

	interfere(second, 2, entry(second, 2) | user);
	visit();
	EXPECT_TRUE(seen.pages.at(0).user);
	xpv_window_destroy(first);
	visit();
	EXPECT_EQ(seen.windows, (std::vector<std::string>{ "second3" }));
	xpv_window_destroy(second);
	visit();
	EXPECT_TRUE(seen.windows.empty());
}

TEST_F(Window, ManyThreadsShareAWindow)
{
	constexpr unsigned int threads = 4, pages = 16, rounds = 2000;
	static xpv_window *window;
	window = xpv_window_create(pages, "test");
	static std::atomic<unsigned int> wrong;
	wrong = 0;
	std::vector<fake::Thread> running;
	for (unsigned int t = 0; t < threads; t++)
		running.emplace_back([t] {
			for (unsigned int round = 0; round < rounds; round++)
				for (unsigned int i = t; i < pages; i += threads) {
					wrong += xpv_window_map(window, i, frame(i + 1), XPV_WINDOW_READ_WRITE) != 0;
					wrong += (entry(window, i) >> 12 & 0xffff) != i + 1;
					wrong += xpv_window_unmap(window, i) != 0;
				}
		});
	for (fake::Thread &thread : running)
		thread.join();
	EXPECT_EQ(wrong, 0u);
	xpv_window_destroy(window);
	EXPECT_TRUE(ranges.live.empty());
}

} // namespace
