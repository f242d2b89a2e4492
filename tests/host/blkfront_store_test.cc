// SPDX-License-Identifier: GPL-2.0-only
/* What the store says of a disk: its number, and what the backend offers. */
#include <gtest/gtest.h>

#include <string>

#include "blkfront/backend_parameters.hh"
#include "blkfront/vdev.hh"

namespace {

using namespace xpv;

struct Expected {
	uint64_t vdev;
	const char *name;
	unsigned int first_minor;
	unsigned int minors;
};

TEST(BlkfrontVdev, NamesAndMinorsAreLinuxs)
{
	const Expected table[] = {
		{ 202 << 8, "xvda", 0, 16 },
		{ (202 << 8) | 16, "xvdb", 16, 16 },
		{ (202 << 8) | 1, "xvda1", 1, 1 },
		{ (202 << 8) | 255, "xvdp15", 255, 1 },
		{ 3 << 8, "xvda", 0, 16 },
		{ (3 << 8) | 64, "xvdb", 16, 16 },
		{ 22 << 8, "xvdc", 32, 16 },
		{ (22 << 8) | 64, "xvdd", 48, 16 },
		{ (3 << 8) | 2, "xvda", 0, 16 },
		{ 8 << 8, "xvda", 0, 16 },
		{ (8 << 8) | 17, "xvdb1", 17, 1 },
		{ 65 << 8, "xvdq", 256, 16 },
		{ 71 << 8, "xvddi", 1792, 16 },
		{ 128 << 8, "xvddy", 2048, 16 },
		{ 135 << 8, "xvdig", 3840, 16 },
		{ 1 << 28, "xvda", 0, 256 },
		{ (1 << 28) | (26 << 8), "xvdaa", 6656, 256 },
		{ (1 << 28) | (2 << 8) | 3, "xvdc3", 515, 1 },
		{ (1 << 28) | (702 << 8), "xvdaaa", 702 * 256, 256 },
		{ (1 << 28) | 0xfff00, "xvdfan", 0xfff00, 256 },
	};
	for (const Expected &expected : table) {
		SCOPED_TRACE(expected.vdev);
		auto identity = identify(expected.vdev);
		ASSERT_TRUE(identity.ok());
		EXPECT_STREQ(identity.value().name, expected.name);
		EXPECT_EQ(identity.value().first_minor, expected.first_minor);
		EXPECT_EQ(identity.value().minors, expected.minors);
	}
}

TEST(BlkfrontVdev, OthersAreNoDisk)
{
	for (uint64_t vdev :
	     { uint64_t{ 0 }, uint64_t{ 1 }, uint64_t{ 9 << 8 }, uint64_t{ 72 << 8 }, uint64_t{ 0x100000 | (202 << 8) },
	       uint64_t{ (1 << 28) | (1 << 20) }, uint64_t{ 2u << 28 }, ~uint64_t{ 0 } }) {
		SCOPED_TRACE(vdev);
		EXPECT_FALSE(identify(vdev).ok());
	}
}

constexpr BackendParameterTexts plain = {
	.sectors = "2097152",
	.sector_size = "512",
	.physical_sector_size = nullptr,
	.info = "0",
	.mode = "w",
	.barrier = nullptr,
	.flush_cache = nullptr
};

TEST(BlkfrontParameters, PlainDisk)
{
	auto backend = parse_backend_parameters(plain, "test");
	ASSERT_TRUE(backend.ok());
	EXPECT_EQ(backend.value().sectors, 2097152u);
	EXPECT_EQ(backend.value().sector_size, 512u);
	EXPECT_EQ(backend.value().physical_sector_size, 512u);
	EXPECT_EQ(backend.value().flush, Flush::none);
	EXPECT_FALSE(backend.value().read_only);
	EXPECT_FALSE(backend.value().removable);
}

TEST(BlkfrontParameters, FlushCacheGoesBeforeBarrier)
{
	BackendParameterTexts texts = plain;
	texts.barrier = "1";
	EXPECT_EQ(parse_backend_parameters(texts, "test").take().flush, Flush::barrier);
	texts.flush_cache = "1";
	EXPECT_EQ(parse_backend_parameters(texts, "test").take().flush, Flush::cache);
	texts.flush_cache = "0";
	EXPECT_EQ(parse_backend_parameters(texts, "test").take().flush, Flush::barrier);
	texts.barrier = "nonsense";
	EXPECT_EQ(parse_backend_parameters(texts, "test").take().flush, Flush::none);
}

TEST(BlkfrontParameters, ReadOnlyByInfoOrMode)
{
	BackendParameterTexts texts = plain;
	texts.info = "4";
	EXPECT_TRUE(parse_backend_parameters(texts, "test").take().read_only);
	texts.info = "2";
	EXPECT_FALSE(parse_backend_parameters(texts, "test").take().read_only);
	EXPECT_TRUE(parse_backend_parameters(texts, "test").take().removable);
	texts.mode = "r";
	EXPECT_TRUE(parse_backend_parameters(texts, "test").take().read_only);
	texts.info = texts.mode = nullptr;
	EXPECT_FALSE(parse_backend_parameters(texts, "test").take().read_only);
}

/*
 * Case 24. The backend publishes a sector size that is 0, no power of two, out
 * of the range from 512 to 4096, or no number. A driver that believes it
 * divides by zero, or transfers other sectors than Linux asked for; cut to 32
 * bits, one of them is 512. Each must be refused, as must a missing node.
 */
TEST(BlkfrontParameters, SectorSizesThatAreNone)
{
	for (const char *text :
	     { "0", "1", "3", "511", "513", "1536", "8192", "4294967296", "4294967808", "-512", "", "abc" }) {
		SCOPED_TRACE(text);
		BackendParameterTexts texts = plain;
		texts.sector_size = text;
		EXPECT_FALSE(parse_backend_parameters(texts, "test").ok());
	}
	for (const char *text : { "512", "1024", "2048", "4096" }) {
		BackendParameterTexts texts = plain;
		texts.sector_size = text;
		EXPECT_TRUE(parse_backend_parameters(texts, "test").ok());
	}
	BackendParameterTexts texts = plain;
	texts.sector_size = nullptr;
	EXPECT_FALSE(parse_backend_parameters(texts, "test").ok());
}

/*
 * Case 24. The backend publishes a sector count whose size in bytes does not
 * fit a signed 64-bit offset, or that is no number. A driver that multiplies it
 * by 512 gets a small or a negative size. Each must be refused, as must a
 * missing node; 0 and the largest count that fits are accepted.
 */
TEST(BlkfrontParameters, SectorsThatAreNone)
{
	for (const char *text : { "9223372036854775808", "18014398509481984", "18446744073709551615", "", "x", "-1" }) {
		SCOPED_TRACE(text);
		BackendParameterTexts texts = plain;
		texts.sectors = text;
		EXPECT_FALSE(parse_backend_parameters(texts, "test").ok());
		EXPECT_FALSE(check_sectors(text).ok());
	}
	EXPECT_FALSE(check_sectors(nullptr).ok());
	EXPECT_TRUE(check_sectors("0").ok());
	EXPECT_TRUE(check_sectors("18014398509481983").ok());
}

TEST(BlkfrontParameters, PhysicalSectorSizeIsAHint)
{
	for (const char *text : { "0", "3", "256", "513", "131072", "4294967296", "x", "" }) {
		SCOPED_TRACE(text);
		BackendParameterTexts texts = plain;
		texts.physical_sector_size = text;
		EXPECT_EQ(parse_backend_parameters(texts, "test").take().physical_sector_size, 512u);
	}
	BackendParameterTexts texts = plain;
	texts.physical_sector_size = "4096";
	EXPECT_EQ(parse_backend_parameters(texts, "test").take().physical_sector_size, 4096u);
}

} // namespace
