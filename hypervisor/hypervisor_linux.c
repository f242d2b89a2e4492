// SPDX-License-Identifier: GPL-2.0-only
/* The module: who owns Xen's interfaces, the platform PCI device, and each CPU as it comes online. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <xen/xen.h>

#include "hypervisor/hypervisor.h"
#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "hypervisor/window.h"
#include "lib/debugfs.h"

/* hvm/params.h: how HVM_PARAM_CALLBACK_IRQ names a PCI interrupt line. */
#define CALLBACK_VIA_PCI_INTX (1ULL << 56)

static enum xpv_hypervisor_owner owner = XPV_HYPERVISOR_NONE;
static int cpuhp_state;
static struct pci_dev *platform_device;

enum xpv_hypervisor_owner xpv_hypervisor_ready(void)
{
	return owner;
}
EXPORT_SYMBOL_GPL(xpv_hypervisor_ready);

int xpv_platform_interrupt(unsigned int *irq, uint64_t *callback_via)
{
	struct pci_dev *device = platform_device;
	u8 pin = 0;

	if (!device || !device->irq)
		return -ENODEV;
	pci_read_config_byte(device, PCI_INTERRUPT_PIN, &pin);
	if (!pin)
		return -ENODEV;
	*irq = device->irq;
	*callback_via = CALLBACK_VIA_PCI_INTX | (u64)pci_domain_nr(device->bus) << 32 | (u64)device->bus->number << 16 |
			(u64)device->devfn << 8 | (pin - 1);
	return 0;
}
EXPORT_SYMBOL_GPL(xpv_platform_interrupt);

static int platform_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	int error = pci_enable_device(device);

	if (error)
		return error;
	platform_device = device;
	return 0;
}

static void platform_remove(struct pci_dev *device)
{
	platform_device = NULL;
	pci_disable_device(device);
}

/* Vendor "XS" 0x5853. Id 2 is the same device, as some toolstacks number it. */
static const struct pci_device_id platform_ids[] = { { PCI_DEVICE(0x5853, 0x0001) }, { PCI_DEVICE(0x5853, 0x0002) }, {} };
MODULE_DEVICE_TABLE(pci, platform_ids);

static struct pci_driver platform_driver = {
	.name = "xpv_hypervisor",
	.id_table = platform_ids,
	.probe = platform_probe,
	.remove = platform_remove,
	.driver = {
		/* All of xpv depends on this device: do not unbind it before the module is unloaded. */
		.suppress_bind_attrs = true,
	},
};

static int bring_up(unsigned int cpu)
{
	return xpv_hypervisor_vcpu_online(cpu);
}

/*
 * ---- /sys/kernel/debug/xpv/windows, for root: tests/lab/test_xpv_pte.py reads it ----
 *
 * Addresses are printed as the sysctl kernel.kptr_restrict permits: hashed by
 * default (0), unchanged for a reader with CAP_SYSLOG at 1, zero at 2.
 */

static struct xpv_debug_file windows_file = { .name = "windows", .show = xpv_windows_show, .file_only = true };

static int __init hypervisor_init(void)
{
	unsigned int version;
	int error;

	if (xen_domain()) {
		owner = XPV_HYPERVISOR_HOSTED;
		pr_notice("the kernel's own Xen support is active; boot this HVM guest with xen_nopv to use xpv\n");
		return -ENODEV;
	}
	error = xpv_hypervisor_detect();
	if (error) {
		pr_notice("no Xen hypervisor found\n");
		return error;
	}

	xpv_suspend_parts_start();
	xpv_windows_start();
	error = xpv_hypervisor_start();
	if (error) {
		pr_err("shared info page: cannot map it (%pe)\n", ERR_PTR(error));
		return error;
	}
	error = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "xpv/hypervisor:online", bring_up, NULL);
	if (error < 0) {
		pr_err("cannot set up vcpu_info for all vCPUs (%pe)\n", ERR_PTR(error));
		goto stop;
	}
	cpuhp_state = error;
	error = pci_register_driver(&platform_driver);
	if (error)
		goto remove_cpuhp;

	xpv_suspend_part_register(&xpv_hypervisor_suspend_part);
	error = xpv_sysfs_start();
	if (error)
		pr_warn("/sys/hypervisor: cannot create all files (%pe)\n", ERR_PTR(error));
	xpv_debug_file_add(&windows_file);
	version = xpv_hypervisor_version();
	owner = XPV_HYPERVISOR_OWNED;
	xpv_unplug_start();
	pr_info("Xen %u.%u, %u vCPUs%s\n", version >> 16, version & 0xffff, num_online_cpus(),
		platform_device ? "" : ", no platform PCI device");
	return 0;

remove_cpuhp:
	cpuhp_remove_state_nocalls(cpuhp_state);
stop:
	xpv_hypervisor_stop();
	return error;
}

static void __exit hypervisor_exit(void)
{
	xpv_debug_file_remove(&windows_file);
	xpv_suspend_part_unregister(&xpv_hypervisor_suspend_part);
	xpv_sysfs_stop();
	pci_unregister_driver(&platform_driver);
	cpuhp_remove_state_nocalls(cpuhp_state);
	xpv_hypervisor_stop();
}

module_init(hypervisor_init);
module_exit(hypervisor_exit);

EXPORT_SYMBOL_GPL(xpv_hypercall);
EXPORT_SYMBOL_GPL(xpv_hypervisor_version);
EXPORT_SYMBOL_GPL(xpv_own_domid);
EXPORT_SYMBOL_GPL(xpv_shared_info);
EXPORT_SYMBOL_GPL(xpv_vcpu_of_cpu);
EXPORT_SYMBOL_GPL(xpv_vcpu_info);
EXPORT_SYMBOL_GPL(xpv_frames_claim);
EXPORT_SYMBOL_GPL(xpv_frames_release);
EXPORT_SYMBOL_GPL(xpv_lend_pages);
EXPORT_SYMBOL_GPL(xpv_has_lent);
EXPORT_SYMBOL_GPL(xpv_lend_page);
EXPORT_SYMBOL_GPL(xpv_lent_page);
EXPORT_SYMBOL_GPL(xpv_lent_take_back);
EXPORT_SYMBOL_GPL(xpv_record_irreversible);
EXPORT_SYMBOL_GPL(xpv_is_recorded);
EXPORT_SYMBOL_GPL(xpv_window_create);
EXPORT_SYMBOL_GPL(xpv_window_destroy);
EXPORT_SYMBOL_GPL(xpv_window_address);
EXPORT_SYMBOL_GPL(xpv_window_map);
EXPORT_SYMBOL_GPL(xpv_window_unmap);
EXPORT_SYMBOL_GPL(xpv_window_unmap_run);
EXPORT_SYMBOL_GPL(xpv_windows_visit);
EXPORT_SYMBOL_GPL(xpv_suspend_part_register);
EXPORT_SYMBOL_GPL(xpv_suspend_part_unregister);
EXPORT_SYMBOL_GPL(xpv_restore_count);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_lock);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_unlock);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_prepare);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_abandon);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_suspend_early);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_resume_early);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_resume_cpu);
EXPORT_SYMBOL_GPL(xpv_suspend_parts_resume_late);

MODULE_DESCRIPTION("xpv: Xen detection, hypercalls, shared info and page table windows");
MODULE_AUTHOR("The xpv authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
