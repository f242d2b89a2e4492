/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface between gnttab's C++ and C files. */
#ifndef XPV_GNTTAB_LINUX_H
#define XPV_GNTTAB_LINUX_H

#include "gnttab/gnttab_owned.h"
#include "hypervisor/suspend_part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- C++ calls C ---- */

/* Take a reference on this module, for a caller that depends on it already. Any context. */
void xpv_gnttab_hold_module(void);
/* Drop that reference. Any context. */
void xpv_gnttab_release_module(void);

/* Call get_page() on the page behind a frame; do nothing if Linux has no page for the frame. Any context. */
void xpv_gnttab_hold_frame(struct xpv_pfn frame);
/* Call put_page() on the page behind a frame, likewise. Any context. */
void xpv_gnttab_release_frame(struct xpv_pfn frame);

/* Run function(context) on each online CPU, irqs off, and wait for all of them. Sleeping context. */
struct xpv_gnttab_cpu_context;
void xpv_gnttab_on_each_cpu(void (*function)(struct xpv_gnttab_cpu_context *context),
			    struct xpv_gnttab_cpu_context *context);

/* One CPU's free references (table.hh). */
struct xpv_gnttab_magazine;
/* Set the CPU's magazine, before the first reference is taken. */
void xpv_gnttab_set_magazine(unsigned int cpu, struct xpv_gnttab_magazine *magazine);
#ifdef __cplusplus
extern struct xpv_gnttab_magazine *xpv_gnttab_magazine_of_cpu; /* per CPU: this_cpu_read() */
#endif

/* ---- C calls C++: the grant table ---- */

struct xpv_gnttab_pool_line {
	char name[XPV_GRANT_POOL_NAME];
	unsigned int owned; /* references, issued or not */
	unsigned int issued;
};
/* Describe pool number `index`; return false if there is no such pool. Any context. */
bool xpv_gnttab_describe_pool(unsigned int index, struct xpv_gnttab_pool_line *line);

/* This module's part in a suspend; registered by load, unregistered by unload. */
extern struct xpv_suspend_part xpv_gnttab_suspend_part;
/* Load the module; waits for the end of a suspend in progress. Sleeping context. */
int xpv_gnttab_load(void);
/* Unload the module. Sleeping context. */
void xpv_gnttab_unload(void);

/* ---- C calls C++: /dev/xen/gntalloc and gntdev ---- */

/* The values are those of the user space interface (UNMAP_NOTIFY_*). */
#define XPV_UNMAP_CLEAR_BYTE 1u
#define XPV_UNMAP_SEND_EVENT 2u
/* How to notify the other end when the memory is unmapped; setting it again replaces the previous one. */
struct xpv_unmap_notify {
	unsigned int action;
	struct xpv_port port; /* must be owned by user space */
};

/* ---- C calls C++: /dev/xen/gntalloc (user_pages.cc). Sleeping context. ---- */

/* The pages of one open file, numbered from 0. */
struct xpv_user_pages;
int xpv_user_pages_open(struct xpv_user_pages **user);
/* Must be called after all views were released. */
void xpv_user_pages_close(struct xpv_user_pages *user);

struct xpv_user_pages_request {
	struct xpv_domid remote;
	bool writable;
	unsigned int count;
	unsigned int limit; /* for all files together */
};
/* Allocate zeroed pages and grant them, all or nothing. -ENOSPC above the limit, else as xpv_grant_page(). */
int xpv_user_pages_allocate(struct xpv_user_pages *user, const struct xpv_user_pages_request *request, uint64_t *index,
			    struct xpv_gref *references);
/* Remove pages from the file; each is freed with its last view. -EINVAL if the file does not have all of them. */
int xpv_user_pages_free(struct xpv_user_pages *user, uint64_t index, unsigned int count);
/*
 * Set the notification of the page that contains byte `offset`. -ENOENT: no
 * such page. -EINVAL: invalid action or port.
 */
int xpv_user_pages_set_notify(struct xpv_user_pages *user, uint64_t offset, const struct xpv_unmap_notify *notify);

/* Pages that are mapped in a user address space. */
struct xpv_page_view;
/* Create a view of pages, held once. -ENOENT if the file does not have all of them. */
int xpv_page_view_make(struct xpv_user_pages *user, uint64_t index, unsigned int count, struct xpv_page_view **view);
void *xpv_page_view_page(const struct xpv_page_view *view, unsigned int i);
void xpv_page_view_hold(struct xpv_page_view *view);
void xpv_page_view_release(struct xpv_page_view *view);

/* ---- C calls C++: /dev/xen/gntdev (user_maps.cc). Sleeping context. ---- */

/* The maps of one open file. The pages of all maps are numbered from 0, and no number is reused. */
struct xpv_user_maps;
int xpv_user_maps_open(struct xpv_user_maps **user);
/* Must be called after all views were released. */
void xpv_user_maps_close(struct xpv_user_maps *user);

struct xpv_foreign_reference {
	struct xpv_domid domain;
	struct xpv_gref reference;
};
/* Add a map of the grants, without mapping them yet. -EINVAL for a count of 0. */
int xpv_user_maps_add(struct xpv_user_maps *user, const struct xpv_foreign_reference *references, unsigned int count,
		      uint64_t *index);
/* Remove a whole map; its grants are unmapped with the last view. -ENOENT: no such map. */
int xpv_user_maps_remove(struct xpv_user_maps *user, uint64_t index, unsigned int count);
/*
 * Set the notification of the map that contains byte `offset`. -ENOENT: no such
 * map. -EINVAL: invalid action or port, or a byte to clear in a map that is
 * mapped read-only.
 */
int xpv_user_maps_set_notify(struct xpv_user_maps *user, uint64_t offset, const struct xpv_unmap_notify *notify);

struct xpv_user_map;
/*
 * Map a whole map for a user address space; its frames are `first` and
 * following. -EINVAL if there is no such map, it is mapped already, or a grant
 * in it is this domain's own; else as xpv_grant_map(). Held once; when the last
 * holder releases it, no mapping of the frames may be left.
 */
int xpv_user_map_view(struct xpv_user_maps *user, uint64_t index, unsigned int count, bool writable,
		      struct xpv_user_map **map, struct xpv_pfn *first);
void xpv_user_map_hold(struct xpv_user_map *map);
void xpv_user_map_release(struct xpv_user_map *map);
void xpv_user_map_describe(const struct xpv_user_map *map, uint64_t *index, unsigned int *count);
/* Convert the errno of an operation to the GNTST_* that user space expects of a copy. */
int16_t xpv_grant_status(int error);

/* ---- C calls C ---- */

int xpv_gntalloc_register(void);
void xpv_gntalloc_unregister(void);
int xpv_gntdev_register(void);
void xpv_gntdev_unregister(void);

#ifdef __cplusplus
}
#endif

#endif
