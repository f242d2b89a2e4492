/* SPDX-License-Identifier: GPL-2.0-only */
/* What gnttab's C++ and C files have to say to each other. */
#ifndef XPV_GNTTAB_LINUX_H
#define XPV_GNTTAB_LINUX_H

#include "gnttab/gnttab_owned.h"
#include "hypervisor/suspend_part.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- In C: gnttab_linux.c ---- */

/* Keep this module loaded, for a caller that depends on it already; and no longer. Any context. */
void xpv_gnttab_hold_module(void);
void xpv_gnttab_release_module(void);

/* get_page() and put_page() on the page behind a frame; a frame that is no page of Linux's is left alone. Any context. */
void xpv_gnttab_hold_frame(struct xpv_pfn frame);
void xpv_gnttab_release_frame(struct xpv_pfn frame);

/* Run function(context) on each CPU that is online, irqs off, and wait until all have. Sleeping context. */
struct xpv_gnttab_cpu_context;
void xpv_gnttab_on_each_cpu(void (*function)(struct xpv_gnttab_cpu_context *context),
			    struct xpv_gnttab_cpu_context *context);

/* Free references that are a CPU's own (table.hh), and where this CPU finds its; set before the first is taken. */
struct xpv_gnttab_magazine;
void xpv_gnttab_set_magazine(unsigned int cpu, struct xpv_gnttab_magazine *magazine);
#ifdef __cplusplus
extern struct xpv_gnttab_magazine *xpv_gnttab_magazine_of_cpu; /* per CPU: this_cpu_read() */
#endif

/* ---- In C++: gnttab.cc ---- */

struct xpv_gnttab_pool_line {
	char name[XPV_GRANT_POOL_NAME];
	unsigned int owned; /* references, issued or not */
	unsigned int issued;
};
/* What there is to say of pool number `index`; false when there is none. Any context. */
bool xpv_gnttab_describe_pool(unsigned int index, struct xpv_gnttab_pool_line *line);

/* What this module does in a suspend; registered while it is loaded, by load itself. */
extern struct xpv_suspend_part xpv_gnttab_suspend_part;
/* Module load and unload. Load waits for the end of a suspend that is under way. Sleeping context. */
int xpv_gnttab_load(void);
void xpv_gnttab_unload(void);

/* ---- What /dev/xen/gntalloc and gntdev have in common ---- */

/* The numbers are user space's. */
#define XPV_UNMAP_CLEAR_BYTE 1u
#define XPV_UNMAP_SEND_EVENT 2u
/* What the other end is told when the memory goes; one that user space sets replaces the last. */
struct xpv_unmap_notice {
	unsigned int action;
	struct xpv_port port; /* one of user space's */
};

/* ---- /dev/xen/gntalloc, in C++: user_pages.cc. Sleeping context. ---- */

/* The pages of one file, numbered from 0 on. */
struct xpv_user_pages;
int xpv_user_pages_open(struct xpv_user_pages **user);
/* All views have been released. */
void xpv_user_pages_close(struct xpv_user_pages *user);

struct xpv_user_pages_request {
	struct xpv_domid remote;
	bool writable;
	unsigned int count;
	unsigned int limit; /* of all files together */
};
/* Zeroed pages, granted; all or nothing. -ENOSPC past the limit, or what xpv_grant_page() says. */
int xpv_user_pages_allocate(struct xpv_user_pages *user, const struct xpv_user_pages_request *request, uint64_t *index,
			    struct xpv_gref *references);
/* The file has them no more: they go with the last view of them. -EINVAL. */
int xpv_user_pages_free(struct xpv_user_pages *user, uint64_t index, unsigned int count);
/* Of the page in which the byte `offset` is. -ENOENT, -EINVAL. */
int xpv_user_pages_set_notice(struct xpv_user_pages *user, uint64_t offset, const struct xpv_unmap_notice *notice);

/* Pages that a user address space shows. */
struct xpv_page_view;
/* -ENOENT when the file does not have all of them. Held once. */
int xpv_page_view_make(struct xpv_user_pages *user, uint64_t index, unsigned int count, struct xpv_page_view **view);
void *xpv_page_view_page(const struct xpv_page_view *view, unsigned int i);
void xpv_page_view_hold(struct xpv_page_view *view);
void xpv_page_view_release(struct xpv_page_view *view);

/* ---- /dev/xen/gntdev, in C++: user_maps.cc. Sleeping context. ---- */

/* The maps of one file; the pages of all are numbered from 0 on, and no number is used twice. */
struct xpv_user_maps;
int xpv_user_maps_open(struct xpv_user_maps **user);
/* All views have been released. */
void xpv_user_maps_close(struct xpv_user_maps *user);

struct xpv_foreign_reference {
	struct xpv_domid domain;
	struct xpv_gref reference;
};
/* Nothing is mapped yet. -EINVAL for a count of 0. */
int xpv_user_maps_add(struct xpv_user_maps *user, const struct xpv_foreign_reference *references, unsigned int count,
		      uint64_t *index);
/* A whole map: what is mapped of it goes with its last view. -ENOENT. */
int xpv_user_maps_remove(struct xpv_user_maps *user, uint64_t index, unsigned int count);
/* Of the map in which the byte `offset` is. -ENOENT; -EINVAL, also for a byte in what is mapped read-only. */
int xpv_user_maps_set_notice(struct xpv_user_maps *user, uint64_t offset, const struct xpv_unmap_notice *notice);

struct xpv_user_map;
/*
 * Map a whole map, to be shown by a user address space: its frames are
 * `first` and following. -EINVAL when there is no such map, it is mapped
 * already, or a grant in it is this domain's own; or what xpv_grant_map() says. Held once; when the last holder
 * releases it, nobody may see the frames any more.
 */
int xpv_user_map_view(struct xpv_user_maps *user, uint64_t index, unsigned int count, bool writable,
		      struct xpv_user_map **map, struct xpv_pfn *first);
void xpv_user_map_hold(struct xpv_user_map *map);
void xpv_user_map_release(struct xpv_user_map *map);
void xpv_user_map_describe(const struct xpv_user_map *map, uint64_t *index, unsigned int *count);
/* From an operation's outcome to what user space expects of a copy: GNTST_*. */
int16_t xpv_grant_status(int error);

/* ---- Between the Linux files ---- */

int xpv_gntalloc_register(void);
void xpv_gntalloc_unregister(void);
int xpv_gntdev_register(void);
void xpv_gntdev_unregister(void);

#ifdef __cplusplus
}
#endif

#endif
