// SPDX-License-Identifier: GPL-2.0-only
/* Processor time that each domain has had, by Xen's account: "DOMID NS" each. For dom0. */
#include <stdio.h>
#include <xenctrl.h>

int main(void)
{
	static xc_dominfo_t domains[256];
	xc_interface *xen = xc_interface_open(NULL, NULL, 0);
	int count = xen ? xc_domain_getinfo(xen, 0, 256, domains) : -1;

	for (int i = 0; i < count; i++)
		printf("%u %llu\n", domains[i].domid, (unsigned long long)domains[i].cpu_time);
	return count < 0;
}
