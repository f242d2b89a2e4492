// SPDX-License-Identifier: GPL-2.0-only
/* The module: a frontend driver for the devices of type "vif". */

#include <linux/cpumask.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/netdevice.h>

#include "netfront/linux.h"

/* Named as the kernel's own netfront names them. */
static unsigned int max_queues;
module_param(max_queues, uint, 0644);
MODULE_PARM_DESC(max_queues, "Maximum number of queues per network interface (default: one per CPU, at most 8)");

static bool trusted = true;
module_param(trusted, bool, 0644);
MODULE_PARM_DESC(trusted, "Trust the backends: let them map pages that have more than a packet's data (default: true)");

static bool receive_hash = true;
module_param(receive_hash, bool, 0644);
MODULE_PARM_DESC(receive_hash,
		 "Let the backends choose the queue of a received packet by a hash, as ethtool -X sets it (default: true)");

#define DEFAULT_QUEUES_MAX 8u

unsigned int xpv_net_max_queues(void)
{
	unsigned int wanted = READ_ONCE(max_queues);

	if (!wanted)
		return min(num_online_cpus(), DEFAULT_QUEUES_MAX);
	return min_t(unsigned int, wanted, XPV_NET_QUEUES_MAX);
}

bool xpv_net_trusted(void)
{
	return READ_ONCE(trusted);
}

bool xpv_net_receive_hash(void)
{
	return READ_ONCE(receive_hash);
}

void xpv_net_rss_key(uint8_t *key, size_t size)
{
	netdev_rss_key_fill(key, size);
}

static struct xpv_debug_file table = { .name = "netfront", .show = xpv_vifs_show };

static int __init netfront_init(void)
{
	int error;

	xpv_vifs_start();
	error = xpv_frontend_driver_register(&xpv_vif_driver, THIS_MODULE);
	if (error)
		return error;
	xpv_debug_file_add(&table);
	return 0;
}
module_init(netfront_init);

static void __exit netfront_exit(void)
{
	xpv_debug_file_remove(&table);
	xpv_frontend_driver_unregister(&xpv_vif_driver);
}
module_exit(netfront_exit);

MODULE_DESCRIPTION("xpv: Xen network device frontend");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("xpv:vif");
