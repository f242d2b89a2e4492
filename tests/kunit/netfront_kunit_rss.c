// SPDX-License-Identifier: GPL-2.0-only
/* Receive side scaling as ethtool sees and sets it. */

#include "netfront_kunit.h"

#include <linux/ethtool.h>
#include <linux/rtnetlink.h>

struct table {
	u32 indir[XPV_NET_RSS_ENTRIES];
	u8 key[XPV_NET_RSS_KEY_BYTES];
	u8 hfunc;
};

static int get_table(struct xpv_vif *vif, struct table *table)
{
	const struct ethtool_ops *ops = vif->dev->ethtool_ops;
	int error;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	struct ethtool_rxfh_param rxfh = {
		.indir_size = XPV_NET_RSS_ENTRIES,
		.indir = table->indir,
		.key_size = XPV_NET_RSS_KEY_BYTES,
		.key = table->key,
	};

	rtnl_lock();
	error = ops->get_rxfh(vif->dev, &rxfh);
	table->hfunc = rxfh.hfunc;
#else
	rtnl_lock();
	error = ops->get_rxfh(vif->dev, table->indir, table->key, &table->hfunc);
#endif
	rtnl_unlock();
	return error;
}

/* NULL: not changed. */
static int set_table(struct xpv_vif *vif, u32 *indir, u8 *key, u8 hfunc)
{
	const struct ethtool_ops *ops = vif->dev->ethtool_ops;
	int error;

	rtnl_lock();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	error = ops->set_rxfh(vif->dev, &(struct ethtool_rxfh_param){ .hfunc = hfunc, .indir = indir, .key = key }, NULL);
#else
	error = ops->set_rxfh(vif->dev, indir, key, hfunc);
#endif
	rtnl_unlock();
	return error;
}

static int get_flow_data(struct xpv_vif *vif, u32 flow, u64 *data)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_GRXFH, .flow_type = flow };
	int error;

	rtnl_lock();
	error = vif->dev->ethtool_ops->get_rxnfc(vif->dev, &info, NULL);
	rtnl_unlock();
	*data = info.data;
	return error;
}

static int set_flow_data(struct xpv_vif *vif, u32 flow, u64 data)
{
	struct ethtool_rxnfc info = { .cmd = ETHTOOL_SRXFH, .flow_type = flow, .data = data };
	int error;

	rtnl_lock();
	error = vif->dev->ethtool_ops->set_rxnfc(vif->dev, &info);
	rtnl_unlock();
	return error;
}

void rss_is_not_supported(struct kunit *test)
{
	struct table *table = kunit_kzalloc(test, sizeof(*table), GFP_KERNEL);
	struct xpv_vif *vif = vif_make(test, 2, &all_features);
	u64 data;

	KUNIT_ASSERT_NOT_NULL(test, table);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, get_table(vif, table));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, get_flow_data(vif, TCP_V4_FLOW, &data));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, set_flow_data(vif, TCP_V4_FLOW, 0));
}

void rss_table_and_key(struct kunit *test)
{
	struct table *table = kunit_kzalloc(test, sizeof(*table), GFP_KERNEL);
	struct xpv_vif *vif = vif_make(test, 4, &all_features);
	struct ethtool_rxnfc rings = { .cmd = ETHTOOL_GRXRINGS };
	unsigned int i, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, table);
	KUNIT_EXPECT_EQ(test, (u32)XPV_NET_RSS_ENTRIES, vif->dev->ethtool_ops->get_rxfh_indir_size(vif->dev));
	KUNIT_EXPECT_EQ(test, (u32)XPV_NET_RSS_KEY_BYTES, vif->dev->ethtool_ops->get_rxfh_key_size(vif->dev));
	KUNIT_EXPECT_EQ(test, 0, vif->dev->ethtool_ops->get_rxnfc(vif->dev, &rings, NULL));
	KUNIT_EXPECT_EQ(test, 4, (int)rings.data);
	vif->rss.supported = true;
	for (i = 0; i < XPV_NET_RSS_ENTRIES; i++)
		vif->rss.mapping[i] = i % 8;
	memset(vif->rss.key, 0x5a, sizeof(vif->rss.key));
	KUNIT_EXPECT_EQ(test, 0, get_table(vif, table));
	KUNIT_EXPECT_EQ(test, ETH_RSS_HASH_TOP, (int)table->hfunc);
	KUNIT_EXPECT_NULL(test, memchr_inv(table->key, 0x5a, sizeof(table->key)));
	/* There are only four queues now. */
	for (i = 0; i < XPV_NET_RSS_ENTRIES; i++)
		wrong += table->indir[i] != i % 4;
	KUNIT_EXPECT_EQ(test, 0u, wrong);

	/* What is not given stays. */
	memset(table->key, 0xa5, sizeof(table->key));
	KUNIT_EXPECT_EQ(test, 0, set_table(vif, NULL, table->key, ETH_RSS_HASH_NO_CHANGE));
	KUNIT_EXPECT_EQ(test, 7u, vif->rss.mapping[7]);
	KUNIT_EXPECT_NULL(test, memchr_inv(vif->rss.key, 0xa5, sizeof(vif->rss.key)));
	KUNIT_EXPECT_FALSE(test, vif->rss.spread_evenly);
	KUNIT_EXPECT_EQ(test, 0, set_table(vif, table->indir, NULL, ETH_RSS_HASH_TOP));
	KUNIT_EXPECT_TRUE(test, vif->rss.spread_evenly);
	table->indir[127] = 0;
	KUNIT_EXPECT_EQ(test, 0, set_table(vif, table->indir, NULL, ETH_RSS_HASH_TOP));
	KUNIT_EXPECT_FALSE(test, vif->rss.spread_evenly);
	KUNIT_EXPECT_EQ(test, 0u, vif->rss.mapping[127]);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, set_table(vif, table->indir, NULL, ETH_RSS_HASH_XOR));
}

void rss_kinds_of_flows(struct kunit *test)
{
	const u64 addresses = RXH_IP_SRC | RXH_IP_DST, all = addresses | RXH_L4_B_0_1 | RXH_L4_B_2_3;
	struct xpv_vif *vif = vif_make(test, 2, &all_features);
	u64 data;

	vif->rss.supported = true;
	vif->rss.types = XPV_NET_RSS_TYPES;
	KUNIT_EXPECT_EQ(test, 0, get_flow_data(vif, TCP_V4_FLOW, &data));
	KUNIT_EXPECT_EQ(test, all, data);
	KUNIT_EXPECT_EQ(test, 0, get_flow_data(vif, UDP_V6_FLOW, &data));
	KUNIT_EXPECT_EQ(test, addresses, data);
	KUNIT_EXPECT_EQ(test, -EINVAL, get_flow_data(vif, ETHER_FLOW, &data));

	KUNIT_EXPECT_EQ(test, 0, set_flow_data(vif, TCP_V4_FLOW, addresses));
	KUNIT_EXPECT_EQ(test, (u32)(XPV_NET_RSS_TYPES & ~XPV_NET_RSS_IPV4_TCP), vif->rss.types);
	KUNIT_EXPECT_EQ(test, 0, get_flow_data(vif, TCP_V4_FLOW, &data));
	KUNIT_EXPECT_EQ(test, addresses, data);
	/* Not without UDP's too. */
	KUNIT_EXPECT_EQ(test, -EINVAL, set_flow_data(vif, TCP_V4_FLOW, 0));
	KUNIT_EXPECT_EQ(test, 0, set_flow_data(vif, UDP_V4_FLOW, 0));
	KUNIT_EXPECT_EQ(test, 0, get_flow_data(vif, TCP_V4_FLOW, &data));
	KUNIT_EXPECT_EQ(test, 0ull, data);
	KUNIT_EXPECT_EQ(test, -EINVAL, set_flow_data(vif, TCP_V4_FLOW, addresses));
	KUNIT_EXPECT_EQ(test, 0, set_flow_data(vif, TCP_V4_FLOW, all));
	KUNIT_EXPECT_EQ(test, (u32)(XPV_NET_RSS_TYPES & ~XPV_NET_RSS_IPV4), vif->rss.types);
	KUNIT_EXPECT_EQ(test, -EINVAL, set_flow_data(vif, UDP_V4_FLOW, all));
	KUNIT_EXPECT_EQ(test, -EINVAL, set_flow_data(vif, TCP_V6_FLOW, RXH_DISCARD));
	KUNIT_EXPECT_EQ(test, (u32)(XPV_NET_RSS_TYPES & ~XPV_NET_RSS_IPV4), vif->rss.types);
}
