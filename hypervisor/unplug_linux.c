// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unplug the emulated NICs, so that a vif with an emulated twin is seen once
 * (Xen's docs/misc/hvm-emulated-unplug.pandoc). The device model removes its NIC
 * without telling Linux, so Linux has to let go of it first.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "hypervisor/linux.h"

/* Ports of the platform PCI device's protocol. */
#define PORT_MAGIC 0x10 /* 16 bits; written: what to unplug */
#define PORT_BUILD 0x10 /* 32 bits, written: version of the drivers */
#define PORT_PRODUCT 0x12 /* 16 bits, written: who the drivers are */
#define PORT_PROTOCOL 0x12 /* 8 bits, read */
#define MAGIC 0x49d2
#define PRODUCT_LINUX 3
#define UNPLUG_NICS 2

static char *unplug = "never";
module_param(unplug, charp, 0444);
MODULE_PARM_DESC(unplug, "Emulated devices to remove when loaded, until the guest reboots: nics, or never (default)");

static bool unplugged;

/* Return whether the device model offers the protocol, and accepts us. */
static bool offers_unplug(void)
{
	if (inw(PORT_MAGIC) != MAGIC)
		return false;
	if (inb(PORT_PROTOCOL) >= 1) {
		outw(PRODUCT_LINUX, PORT_PRODUCT);
		outl(0, PORT_BUILD);
		/* It refuses drivers that it has on a list by taking the magic away. */
		return inw(PORT_MAGIC) == MAGIC;
	}
	return true;
}

/* The device model's NICs have its own vendor as the subsystem's. A NIC that is passed through has another one. */
static bool is_emulated_nic(const struct pci_dev *device)
{
	return device->class >> 8 == PCI_CLASS_NETWORK_ETHERNET &&
	       device->subsystem_vendor == PCI_SUBVENDOR_ID_REDHAT_QUMRANET;
}

static unsigned int remove_emulated_nics(void)
{
	struct pci_dev *device = NULL;
	unsigned int count = 0;

	while ((device = pci_get_class(PCI_CLASS_NETWORK_ETHERNET << 8, device))) {
		if (!is_emulated_nic(device))
			continue;
		pci_info(device, "removing the emulated NIC\n");
		pci_stop_and_remove_bus_device_locked(device);
		count++;
		/* The search cannot go on from a device that is not on its list any more. */
		pci_dev_put(device);
		device = NULL;
	}
	return count;
}

void xpv_unplug_start(void)
{
	if (sysfs_streq(unplug, "never"))
		return;
	if (!sysfs_streq(unplug, "nics")) {
		pr_warn("unplug=%s is unknown, not unplugging any emulated device\n", unplug);
		return;
	}
	if (!offers_unplug()) {
		pr_warn("cannot unplug emulated NICs: the device model does not offer it\n");
		return;
	}
	pr_info("unplugging emulated NICs, Linux had %u\n", remove_emulated_nics());
	outw(UNPLUG_NICS, PORT_MAGIC);
	unplugged = true;
}

void xpv_unplug_again(void)
{
	if (unplugged && offers_unplug())
		outw(UNPLUG_NICS, PORT_MAGIC);
}
