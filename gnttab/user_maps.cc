// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other domains' pages for user space: /dev/xen/gntdev.
 *
 * User space first names grants (a map). They are mapped when it mmaps the map,
 * at contiguous guest frames without RAM, which are released when the last user
 * address space has unmapped them. mutex_ guards everything of one file.
 */
#include "gnttab/foreign.hh"
#include "gnttab/user_notify.hh"
#include "hypervisor/hypervisor.h"
#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/translate.hh"
#include "lib/guard.hh"
#include "lib/list.hh"
#include "lib/memory.hh"

using namespace xpv;

struct xpv_user_map : ListLink<> {
	xpv_user_maps *user = nullptr;
	uint64_t index = 0; /* in pages, in its file */
	unsigned int views = 0;
	bool listed = true; /* the file has it */
	bool writable = false; /* valid while it has views */
	Array<xpv_grant_map_op> maps;
	Gfn first = {};
	UnmapNotify notify;
	Page zero; /* source of the byte that the notification clears */

	[[nodiscard]] unsigned int count() const { return static_cast<unsigned int>(maps.size()); }
	[[nodiscard]] Status map();
	void unmap();
	void clear_byte();
};

struct xpv_user_maps {
public:
	xpv_user_maps() = default;
	/* No views may be left. */
	~xpv_user_maps()
	{
		for (xpv_user_map &map : maps_) {
			map.listed = false;
			drop_if_unused(map);
		}
	}
	xpv_user_maps(const xpv_user_maps &) = delete;
	xpv_user_maps &operator=(const xpv_user_maps &) = delete;

	[[nodiscard]] Result<uint64_t> add(const xpv_foreign_reference *references, unsigned int count);
	[[nodiscard]] Status remove(uint64_t index, unsigned int count);
	[[nodiscard]] Status set_notify(uint64_t offset, const xpv_unmap_notify &notify);
	[[nodiscard]] Result<xpv_user_map *> view(uint64_t index, unsigned int count, bool writable);
	void hold(xpv_user_map &map);
	void release(xpv_user_map &map);

private:
	[[nodiscard]] xpv_user_map *find(uint64_t index, unsigned int count) XPV_REQUIRES(mutex_);
	void drop_if_unused(xpv_user_map &map) XPV_REQUIRES(mutex_);

	Mutex mutex_{ "xpv gnttab user maps"_lock };
	List<xpv_user_map> maps_ XPV_GUARDED_BY(mutex_);
	/* Never reused: a stale index cannot name another map. */
	uint64_t next_index_ XPV_GUARDED_BY(mutex_) = 0;
};

Status xpv_user_map::map()
{
	XPV_TRY(status(xpv_frames_claim(count(), &first)));
	for (unsigned int i = 0; i < count(); i++) {
		maps[i].target = Gfn{ first.value + i };
		maps[i].access = writable ? XPV_GRANT_READ_WRITE : XPV_GRANT_READ_ONLY;
	}
	if (xpv_grant_map(maps.data(), count()) == 0)
		return {};
	int error = -XEN_EIO;
	for (const xpv_grant_map_op &map : maps)
		if (map.status < 0)
			error = map.status;
	if (unmap_for_good(maps.data(), count()) == 0)
		xpv_frames_release(first, count());
	return Error(error);
}

/*
 * Clear the byte through Xen: the kernel has no mapping of the frame. Only
 * while the page is mapped: after a restore the domain and the reference may be
 * another's. If the other end revoked the page, it needs no notification.
 */
void xpv_user_map::clear_byte()
{
	if (!notify.clears() || !writable)
		return;
	const xpv_grant_map_op &map = maps[notify.offset() / page_size];
	gnttab_copy copy = {};
	copy.source.u.gmfn = gfn_of(zero.pfn()).value;
	copy.source.domid = DOMID_SELF;
	copy.dest.u.ref = map.reference.value;
	copy.dest.domid = map.domain.value;
	copy.dest.offset = static_cast<uint16_t>(notify.offset() % page_size);
	copy.len = 1;
	copy.flags = GNTCOPY_dest_gref;
	Patience patience;
	do {
		/*
		 * A suspend stops each CPU from a task, so that with irqs off
		 * it cannot come between check and copy.
		 */
		IrqsOffGuard no_suspend;
		if (!foreign_exists(map.handle) || !gnttabop_copy(&copy, 1).ok())
			return;
	} while (copy.status == GNTST_eagain && patience.wait());
}

void xpv_user_map::unmap()
{
	clear_byte();
	/* A claim is released as a whole, and guest frames with a foreign page still mapped must not be reused. */
	if (unmap_for_good(maps.data(), count()) == 0)
		xpv_frames_release(first, count());
	notify.send();
}

xpv_user_map *xpv_user_maps::find(uint64_t index, unsigned int count)
{
	for (xpv_user_map &map : maps_)
		if (map.listed && map.index == index && map.count() == count)
			return &map;
	return nullptr;
}

void xpv_user_maps::drop_if_unused(xpv_user_map &map)
{
	if (map.listed || map.views != 0)
		return;
	map.unlink();
	/* Not sent yet for a map that was never mapped, or got its notification after the unmap. */
	map.notify.send();
	destroy(&map);
}

Result<uint64_t> xpv_user_maps::add(const xpv_foreign_reference *references, unsigned int count)
{
	if (count == 0)
		return Error(XEN_EINVAL);
	auto made = XPV_TRY(make<xpv_user_map>(XPV_MAY_SLEEP));
	made->user = this;
	made->maps = XPV_TRY(Array<xpv_grant_map_op>::make(count, XPV_MAY_SLEEP));
	made->zero = XPV_TRY(Page::make(XPV_MAY_SLEEP));
	for (unsigned int i = 0; i < count; i++) {
		made->maps[i].domain = references[i].domain;
		made->maps[i].reference = references[i].reference;
		made->maps[i].handle = XPV_NO_GRANT_HANDLE;
	}
	MutexGuard guard(mutex_);
	made->index = next_index_;
	next_index_ += count;
	maps_.push_back(*made.get());
	return made.release()->index;
}

Status xpv_user_maps::remove(uint64_t index, unsigned int count)
{
	MutexGuard guard(mutex_);
	xpv_user_map *map = find(index, count);
	if (!map)
		return Error(XEN_ENOENT);
	map->listed = false;
	drop_if_unused(*map);
	return {};
}

Status xpv_user_maps::set_notify(uint64_t offset, const xpv_unmap_notify &notify)
{
	MutexGuard guard(mutex_);
	for (xpv_user_map &map : maps_) {
		uint64_t first = map.index * page_size;
		if (!map.listed || offset < first || offset - first >= map.count() * page_size)
			continue;
		if (notify.action & XPV_UNMAP_CLEAR_BYTE && map.views != 0 && !map.writable)
			return Error(XEN_EINVAL);
		return map.notify.set(offset - first, notify);
	}
	return Error(XEN_ENOENT);
}

namespace {

/*
 * Return whether a grant in the map may be this domain's own. Xen would move
 * the page from its place in this domain to the target, and not move it back:
 * Linux would lose its memory.
 */
bool may_name_own_domain(const xpv_user_map &map)
{
	Domid own;
	if (xpv_own_domid(&own) != 0)
		return true; /* unknown, so it may be */
	for (const xpv_grant_map_op &its : map.maps)
		if (its.domain == own)
			return true;
	return false;
}

} // namespace

Result<xpv_user_map *> xpv_user_maps::view(uint64_t index, unsigned int count, bool writable)
{
	MutexGuard guard(mutex_);
	xpv_user_map *map = find(index, count);
	/*
	 * One view only: Xen counts each mapping of a grant, and two views
	 * would have to agree on when to unmap it.
	 */
	if (!map || map->views != 0 || may_name_own_domain(*map))
		return Error(XEN_EINVAL);
	map->writable = writable;
	XPV_TRY(map->map());
	map->views = 1;
	return map;
}

void xpv_user_maps::hold(xpv_user_map &map)
{
	MutexGuard guard(mutex_);
	map.views++;
}

void xpv_user_maps::release(xpv_user_map &map)
{
	MutexGuard guard(mutex_);
	if (--map.views != 0)
		return;
	map.unmap();
	drop_if_unused(map);
}

int xpv_user_maps_open(xpv_user_maps **user)
{
	return hand_out(make<xpv_user_maps>(XPV_MAY_SLEEP), user);
}

void xpv_user_maps_close(xpv_user_maps *user)
{
	destroy(user);
}

int xpv_user_maps_add(xpv_user_maps *user, const xpv_foreign_reference *references, unsigned int count, uint64_t *index)
{
	return hand_out(user->add(references, count), index);
}

int xpv_user_maps_remove(xpv_user_maps *user, uint64_t index, unsigned int count)
{
	return user->remove(index, count).code();
}

int xpv_user_maps_set_notify(xpv_user_maps *user, uint64_t offset, const xpv_unmap_notify *notify)
{
	return user->set_notify(offset, *notify).code();
}

int xpv_user_map_view(xpv_user_maps *user, uint64_t index, unsigned int count, bool writable, xpv_user_map **map,
		      xpv_pfn *first)
{
	auto viewed = user->view(index, count, writable);
	if (!viewed.ok())
		return viewed.code();
	*map = viewed.value();
	*first = pfn_of(viewed.value()->first);
	return 0;
}

void xpv_user_map_hold(xpv_user_map *map)
{
	map->user->hold(*map);
}

void xpv_user_map_release(xpv_user_map *map)
{
	map->user->release(*map);
}

void xpv_user_map_describe(const xpv_user_map *map, uint64_t *index, unsigned int *count)
{
	*index = map->index;
	*count = map->count();
}
