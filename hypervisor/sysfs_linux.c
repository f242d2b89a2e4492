// SPDX-License-Identifier: GPL-2.0-only
/* /sys/hypervisor, in the format of the kernel's own Xen support. */

#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "hypervisor/linux.h"

struct about_attribute {
	struct kobj_attribute attribute;
	enum xpv_about what;
};

static ssize_t about_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
	return xpv_hypervisor_about(container_of(attribute, struct about_attribute, attribute)->what, text);
}

#define ABOUT(file, item)                                                                                              \
	static struct about_attribute file##_attribute = { __ATTR(file, 0444, about_show, NULL), item }
ABOUT(major, XPV_ABOUT_MAJOR);
ABOUT(minor, XPV_ABOUT_MINOR);
ABOUT(extra, XPV_ABOUT_EXTRA);
ABOUT(uuid, XPV_ABOUT_UUID);
ABOUT(compiler, XPV_ABOUT_COMPILER);
ABOUT(compiled_by, XPV_ABOUT_COMPILED_BY);
ABOUT(compile_date, XPV_ABOUT_COMPILE_DATE);
ABOUT(capabilities, XPV_ABOUT_CAPABILITIES);
ABOUT(changeset, XPV_ABOUT_CHANGESET);
ABOUT(virtual_start, XPV_ABOUT_VIRTUAL_START);
ABOUT(pagesize, XPV_ABOUT_PAGESIZE);
ABOUT(features, XPV_ABOUT_FEATURES);
ABOUT(buildid, XPV_ABOUT_BUILDID);

static ssize_t type_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "xen\n");
}
static struct kobj_attribute type_attribute = __ATTR_RO(type);

/* xpv runs in HVM guests: in other guests the kernel's own Xen support cannot be disabled. */
static ssize_t guest_type_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "HVM\n");
}
static struct kobj_attribute guest_type_attribute = __ATTR_RO(guest_type);

static struct attribute *own_attributes[] = {
	&type_attribute.attr,
	&guest_type_attribute.attr,
	&uuid_attribute.attribute.attr,
	NULL,
};
static struct attribute *version_attributes[] = {
	&major_attribute.attribute.attr,
	&minor_attribute.attribute.attr,
	&extra_attribute.attribute.attr,
	NULL,
};
static struct attribute *compilation_attributes[] = {
	&compiler_attribute.attribute.attr,
	&compiled_by_attribute.attribute.attr,
	&compile_date_attribute.attribute.attr,
	NULL,
};
static struct attribute *properties_attributes[] = {
	&capabilities_attribute.attribute.attr,
	&changeset_attribute.attribute.attr,
	&virtual_start_attribute.attribute.attr,
	&pagesize_attribute.attribute.attr,
	&features_attribute.attribute.attr,
	&buildid_attribute.attribute.attr,
	NULL,
};
static const struct attribute_group own_group = { .attrs = own_attributes };
static const struct attribute_group version_group = { .name = "version", .attrs = version_attributes };
static const struct attribute_group compilation_group = { .name = "compilation", .attrs = compilation_attributes };
static const struct attribute_group properties_group = { .name = "properties", .attrs = properties_attributes };
static const struct attribute_group *groups[] = {
	&own_group, &version_group, &compilation_group, &properties_group, NULL,
};

static struct kobject *directory; /* set while the groups are in it */

int xpv_sysfs_start(void)
{
	struct kobject *object;
	int error;

#ifdef CONFIG_SYS_HYPERVISOR
	object = kobject_get(hypervisor_kobj);
#else
	object = kobject_create_and_add("hypervisor", NULL);
#endif
	if (!object)
		return -ENOMEM;
	error = sysfs_create_groups(object, groups);
	if (error) {
		kobject_put(object);
		return error;
	}
	directory = object;
	return 0;
}

void xpv_sysfs_stop(void)
{
	if (!directory)
		return;
	sysfs_remove_groups(directory, groups);
	kobject_put(directory);
	directory = NULL;
}
