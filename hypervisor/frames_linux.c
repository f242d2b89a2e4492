// SPDX-License-Identifier: GPL-2.0-only
/* Guest-physical space without RAM. */

#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <asm/processor.h>

#include "hypervisor/hypervisor_owned.h"

struct claim {
	struct list_head link;
	struct resource resource;
};

static LIST_HEAD(claims);
static DEFINE_MUTEX(claims_mutex);

/*
 * Claim frames above 4 GiB, and not in the platform device's BAR. Above 4 GiB the
 * MTRRs default to write-back, while hvmloader makes everything in the PCI hole
 * uncached, which some processors apply even to Xen's own frames. Claim as low as
 * possible, because a save walks all frames up to the highest.
 */
int xpv_frames_claim(unsigned int count, struct xpv_gfn *first)
{
	struct claim *claim = kzalloc(sizeof(*claim), GFP_KERNEL);
	int error;

	if (!claim)
		return -ENOMEM;
	claim->resource.name = "xpv";
	claim->resource.flags = IORESOURCE_MEM | IORESOURCE_BUSY;
	error = allocate_resource(&iomem_resource, &claim->resource, (resource_size_t)count << PAGE_SHIFT, SZ_4G,
				  (1ULL << boot_cpu_data.x86_phys_bits) - 1, PAGE_SIZE, NULL, NULL);
	if (error) {
		kfree(claim);
		return -ENOSPC;
	}
	mutex_lock(&claims_mutex);
	list_add(&claim->link, &claims);
	mutex_unlock(&claims_mutex);
	first->value = claim->resource.start >> PAGE_SHIFT;
	return 0;
}

void xpv_frames_release(struct xpv_gfn first, unsigned int count)
{
	struct claim *claim, *found = NULL;

	mutex_lock(&claims_mutex);
	list_for_each_entry(claim, &claims, link) {
		if (claim->resource.start >> PAGE_SHIFT == first.value)
			found = claim;
	}
	if (found)
		list_del(&found->link);
	mutex_unlock(&claims_mutex);
	if (!found)
		return;
	release_resource(&found->resource);
	kfree(found);
}
