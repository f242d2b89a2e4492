// SPDX-License-Identifier: GPL-2.0-only
#include <linux/build_bug.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mutex.h>

#include "lib/report.h"

static_assert(sizeof(struct list_head) == sizeof(((struct xpv_reporter *)0)->link));

static LIST_HEAD(reporters);
static DEFINE_MUTEX(reporters_mutex);

static struct list_head *link_of(struct xpv_reporter *reporter)
{
	return (struct list_head *)&reporter->link;
}

void xpv_reporter_add(struct xpv_reporter *reporter)
{
	mutex_lock(&reporters_mutex);
	list_add_tail(link_of(reporter), &reporters);
	mutex_unlock(&reporters_mutex);
}
EXPORT_SYMBOL_GPL(xpv_reporter_add);

void xpv_reporter_remove(struct xpv_reporter *reporter)
{
	mutex_lock(&reporters_mutex);
	list_del(link_of(reporter));
	mutex_unlock(&reporters_mutex);
}
EXPORT_SYMBOL_GPL(xpv_reporter_remove);

void xpv_report_all(void)
{
	struct list_head *link;

	mutex_lock(&reporters_mutex);
	list_for_each(link, &reporters)
		container_of((void *)link, struct xpv_reporter, link)->write();
	mutex_unlock(&reporters_mutex);
}
EXPORT_SYMBOL_GPL(xpv_report_all);
