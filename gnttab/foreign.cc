// SPDX-License-Identifier: GPL-2.0-only
/* Map and unmap grants in batches; count the mappings, and those that Xen does not unmap. */
#include "gnttab/foreign.hh"

#include "gnttab/linux.h"
#include "lib/log.hh"
#include "lib/ordering.hh"

using namespace xpv;

namespace xpv {

namespace {

constinit unsigned int mapped_count = 0;
constinit unsigned int stuck_count = 0;

void add_stuck(unsigned int count)
{
	if (count == 0)
		return;
	fetch_add(stuck_count, count);
	/*
	 * The mappings stay for good, and so must the claim on the frames and
	 * our record of them: keep the module loaded.
	 */
	xpv_gnttab_hold_module();
	XPV_ERR_LIMITED("cannot unmap %u grants of other domains, leaking their guest frames", count);
}

} // namespace

unsigned int foreign_mapped()
{
	return read_once(mapped_count);
}

unsigned int foreign_stuck()
{
	return read_once(stuck_count);
}

void foreign_restore()
{
	write_once(mapped_count, 0);
}

xpv_grant_handle foreign_handle(grant_handle_t handle, uint32_t restores)
{
	return { uint64_t{ restores } << 32 | handle };
}

bool foreign_exists(xpv_grant_handle handle)
{
	return handle.value >> 32 == xpv_restore_count();
}

gnttab_map_grant_ref map_request(Domid domain, Gref reference, xpv_grant_access access, MapTarget target)
{
	gnttab_map_grant_ref request = {};
	request.host_addr = target.host_address();
	request.flags = target.flags(access);
	request.ref = reference.value;
	request.dom = domain.value;
	return request;
}

gnttab_unmap_grant_ref unmap_request(MapTarget target, xpv_grant_handle handle)
{
	gnttab_unmap_grant_ref request = {};
	request.host_addr = target.host_address();
	request.handle = static_cast<grant_handle_t>(handle.value);
	return request;
}

Result<Mapping> Mapping::make(Domid domain, Gref reference, xpv_grant_access access, MapTarget target)
{
	int outcome = 0;
	uint32_t restores = xpv_restore_count();
	xpv_grant_handle handle = XPV_NO_GRANT_HANDLE;
	run_in_batches<gnttab_map_grant_ref>(
		1, gnttabop_map_grant_ref,
		[&](unsigned int, gnttab_map_grant_ref &operation) {
			operation = map_request(domain, reference, access, target);
			return true;
		},
		[&](unsigned int, const gnttab_map_grant_ref &operation, int code) {
			outcome = code;
			handle = foreign_handle(operation.handle, restores);
		});
	if (outcome < 0)
		return Error(outcome);
	fetch_add(mapped_count, 1u);
	return Mapping(target, handle);
}

Status Mapping::unmap() &&
{
	int outcome = 0;
	xpv_grant_handle handle = std::exchange(handle_, XPV_NO_GRANT_HANDLE);
	if (handle == XPV_NO_GRANT_HANDLE)
		return Error(XEN_EINVAL);
	if (!foreign_exists(handle))
		return {};
	run_in_batches<gnttab_unmap_grant_ref>(
		1, gnttabop_unmap_grant_ref,
		[&](unsigned int, gnttab_unmap_grant_ref &operation) {
			operation = unmap_request(target_, handle);
			return true;
		},
		[&](unsigned int, const gnttab_unmap_grant_ref &, int code) { outcome = code; });
	if (outcome < 0)
		add_stuck(1);
	else
		fetch_add(mapped_count, -1u);
	return status(outcome);
}

Mapping::~Mapping()
{
	if (!(handle_ == XPV_NO_GRANT_HANDLE))
		ignore(std::move(*this).unmap()); /* counted and logged there */
}

unsigned int unmap_for_good(xpv_grant_map_op *maps, unsigned int count)
{
	unsigned int failed = xpv_grant_unmap(maps, count);
	add_stuck(failed);
	return failed;
}

} // namespace xpv

unsigned int xpv_grant_map(xpv_grant_map_op *maps, unsigned int count)
{
	unsigned int failed = 0;
	/*
	 * Read the count before the call: a mapping that races with a restore
	 * then counts as the old domain's; at worst it stays mapped.
	 */
	uint32_t restores = xpv_restore_count();
	run_in_batches<gnttab_map_grant_ref>(
		count, gnttabop_map_grant_ref,
		[=](unsigned int i, gnttab_map_grant_ref &operation) {
			operation = map_request(maps[i].domain, maps[i].reference, maps[i].access,
						MapTarget::frame(maps[i].target));
			return true;
		},
		[&failed, maps, restores](unsigned int i, const gnttab_map_grant_ref &operation, int code) {
			maps[i].status = code;
			maps[i].handle = code < 0 ? XPV_NO_GRANT_HANDLE : foreign_handle(operation.handle, restores);
			failed += code < 0;
		});
	fetch_add(mapped_count, count - failed);
	return failed;
}

unsigned int xpv_grant_unmap(xpv_grant_map_op *maps, unsigned int count)
{
	unsigned int failed = 0, done = 0;
	run_in_batches<gnttab_unmap_grant_ref>(
		count, gnttabop_unmap_grant_ref,
		[=](unsigned int i, gnttab_unmap_grant_ref &operation) {
			if (maps[i].handle == XPV_NO_GRANT_HANDLE)
				return false;
			if (!foreign_exists(maps[i].handle)) {
				maps[i].status = 0;
				maps[i].handle = XPV_NO_GRANT_HANDLE;
				return false;
			}
			operation = unmap_request(MapTarget::frame(maps[i].target), maps[i].handle);
			return true;
		},
		[&failed, &done, maps](unsigned int i, const gnttab_unmap_grant_ref &, int code) {
			maps[i].status = code;
			if (code < 0) {
				failed++;
				return;
			}
			maps[i].handle = XPV_NO_GRANT_HANDLE;
			done++;
		});
	fetch_add(mapped_count, -done);
	return failed;
}
