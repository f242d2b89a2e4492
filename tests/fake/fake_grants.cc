// SPDX-License-Identifier: GPL-2.0-only
/* GNTTABOP_* and the table's frames. A mapping at a guest frame is a copy of the page, written back at its unmap. */
#include "tests/fake/fake_grants.hh"

#include "lib/guard.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"
#include "tests/fake/fake_domain.hh"
#include "tests/fake/fake_hypervisor.h"

namespace xpv {

namespace {

constexpr unsigned int frames_room = 8;
constexpr unsigned int status_frames_room = 1;
constexpr unsigned int foreign_room = 64;
constexpr unsigned int handles_room = 512;

/* A page of another domain's, granted to us. */
struct ForeignGrant {
	void *page; /* null: none */
	Domid domain;
	Gref reference;
	bool writable;
	unsigned int mapped;
	int answer; /* GNTST_*, instead of doing what is asked */
	unsigned int answers;
};

struct Handle {
	ForeignGrant *grant; /* null: free */
	uint64_t address;
	bool in_page_table;
	bool writable;
};

struct Grants {
	bool started;
	Spinlock lock;
	unsigned int version;
	unsigned int frames, max_frames;
	void *entries[frames_room];
	grant_status_t *statuses[status_frames_room];
	ForeignGrant foreign[foreign_room];
	Handle handles[handles_room];
	unsigned int refused_unmaps;
	unsigned int largest_batch;
};

constinit Grants grants = {};
constinit unsigned int next_max_frames = 4;
constinit bool refuses_version_1 = false;

void ensure_started()
{
	if (grants.started)
		return;
	grants.started = true;
	grants.lock.init("fake grants"_lock);
	grants.version = refuses_version_1 ? 2 : 1;
	grants.frames = 1;
	grants.max_frames = next_max_frames;
}

/* ---- Our table, as Xen sees it ---- */

struct OwnEntry {
	uint16_t *flags; /* null: there is no such entry */
	uint16_t *in_use;
	Domid domain;
	Gfn frame;
};

OwnEntry own_entry(uint32_t reference)
{
	bool v1 = grants.version == 1;
	unsigned int per_frame = page_size / (v1 ? sizeof(grant_entry_v1_t) : sizeof(grant_entry_v2_t));
	unsigned int frame = reference / per_frame;
	if (frame >= frames_room || !grants.entries[frame])
		return {};
	if (v1) {
		auto &entry = static_cast<grant_entry_v1_t *>(grants.entries[frame])[reference % per_frame];
		return { &entry.flags, &entry.flags, Domid{ read_once(entry.domid) }, Gfn{ read_once(entry.frame) } };
	}
	auto &entry = static_cast<grant_entry_v2_t *>(grants.entries[frame])[reference % per_frame];
	if (!grants.statuses[0])
		return {};
	return { &entry.hdr.flags, &grants.statuses[0][reference], Domid{ read_once(entry.hdr.domid) },
		 Gfn{ read_once(entry.full_page.frame) } };
}

bool permits(uint16_t flags, bool writable)
{
	return (flags & GTF_type_mask) == GTF_permit_access && !(writable && (flags & GTF_readonly));
}

void change_bits(uint16_t &word, unsigned int clear, unsigned int set)
{
	uint16_t old = read_once(word);
	while (!compare_exchange(word, old, static_cast<uint16_t>((old & ~clear) | set)))
		;
}

/* ---- Operations on other domains' grants ---- */

ForeignGrant *foreign_grant(Domid domain, Gref reference)
{
	for (ForeignGrant &grant : grants.foreign) {
		if (grant.page && grant.domain == domain && grant.reference == reference)
			return &grant;
	}
	return nullptr;
}

/* GNTST_okay and the grant, or why not. */
int find_foreign(Domid domain, Gref reference, bool writable, ForeignGrant *&found)
{
	bool domain_exists = false;
	for (ForeignGrant &grant : grants.foreign)
		domain_exists |= grant.page && grant.domain == domain;
	if (!domain_exists)
		return GNTST_bad_domain;
	found = foreign_grant(domain, reference);
	if (!found)
		return GNTST_bad_gntref;
	if (found->answers != 0) {
		found->answers--;
		return found->answer;
	}
	return writable && !found->writable ? GNTST_general_error : GNTST_okay;
}

/* A "mapping" is a copy, which is written back when it ends. */
int map(gnttab_map_grant_ref &operation)
{
	bool writable = !(operation.flags & GNTMAP_readonly);
	bool in_page_table = operation.flags & GNTMAP_contains_pte;
	if (!(operation.flags & GNTMAP_host_map))
		return GNTST_bad_gntref;
	ForeignGrant *grant = nullptr;
	if (int status = find_foreign(Domid{ operation.dom }, Gref{ operation.ref }, writable, grant))
		return status;
	Handle *free = nullptr;
	for (Handle &handle : grants.handles) {
		if (handle.grant && handle.address == operation.host_addr)
			return GNTST_general_error;
		if (!free && !handle.grant)
			free = &handle;
	}
	if (!free)
		return GNTST_no_space;
	if (in_page_table) {
		auto *entry = reinterpret_cast<uint64_t *>(operation.host_addr);
		*entry = xpv_pages_gfn(grant->page).value << 12 | 1 | (writable ? 2 : 0);
	} else {
		void *memory = fake_claimed_memory(Gfn{ operation.host_addr >> 12 });
		if (!memory)
			return GNTST_general_error;
		__builtin_memcpy(memory, grant->page, page_size);
	}
	*free = { grant, operation.host_addr, in_page_table, writable };
	grant->mapped++;
	operation.handle = static_cast<grant_handle_t>(free - grants.handles);
	return GNTST_okay;
}

int unmap(const gnttab_unmap_grant_ref &operation)
{
	if (operation.handle >= handles_room || !grants.handles[operation.handle].grant)
		return GNTST_bad_handle;
	Handle &handle = grants.handles[operation.handle];
	if (handle.address != operation.host_addr)
		return GNTST_general_error;
	if (grants.refused_unmaps != 0) {
		grants.refused_unmaps--;
		return GNTST_general_error;
	}
	if (handle.in_page_table) {
		*reinterpret_cast<uint64_t *>(handle.address) = 0;
	} else if (void *memory = fake_claimed_memory(Gfn{ handle.address >> 12 })) {
		if (handle.writable)
			__builtin_memcpy(handle.grant->page, memory, page_size);
		__builtin_memset(memory, 0, page_size);
	}
	handle.grant->mapped--;
	handle = {};
	return GNTST_okay;
}

int copy_end(const gnttab_copy::gnttab_copy_ptr &end, bool by_reference, bool writable, unsigned int length, char *&memory)
{
	if (end.offset + length > page_size)
		return GNTST_bad_copy_arg;
	void *page;
	if (by_reference) {
		ForeignGrant *grant = nullptr;
		if (int status = find_foreign(Domid{ end.domid }, Gref{ end.u.ref }, writable, grant))
			return status;
		page = grant->page;
	} else {
		if (end.domid != DOMID_SELF)
			return GNTST_permission_denied;
		page = xpv_fake_memory(Gfn{ end.u.gmfn });
	}
	memory = static_cast<char *>(page) + end.offset;
	return GNTST_okay;
}

/* A mapping is a copy: what changes in the page meanwhile has to change there too. */
void show_in_mappings(const ForeignGrant &grant, unsigned int offset, unsigned int length)
{
	for (const Handle &handle : grants.handles) {
		if (handle.grant != &grant || handle.in_page_table)
			continue;
		if (void *memory = fake_claimed_memory(Gfn{ handle.address >> 12 }))
			__builtin_memcpy(static_cast<char *>(memory) + offset, static_cast<char *>(grant.page) + offset,
					 length);
	}
}

int copy(const gnttab_copy &operation)
{
	char *from = nullptr, *to = nullptr;
	if (int status = copy_end(operation.source, operation.flags & GNTCOPY_source_gref, false, operation.len, from))
		return status;
	if (int status = copy_end(operation.dest, operation.flags & GNTCOPY_dest_gref, true, operation.len, to))
		return status;
	__builtin_memcpy(to, from, operation.len);
	if (operation.flags & GNTCOPY_dest_gref)
		show_in_mappings(*foreign_grant(Domid{ operation.dest.domid }, Gref{ operation.dest.u.ref }),
				 operation.dest.offset, operation.len);
	return GNTST_okay;
}

template <typename Operation>
long each(unsigned long argument, unsigned int count, int (*perform)(Operation &))
{
	SpinGuard guard(grants.lock);
	if (count > grants.largest_batch)
		grants.largest_batch = count;
	auto *operations = reinterpret_cast<Operation *>(argument);
	for (unsigned int i = 0; i < count; i++)
		operations[i].status = static_cast<int16_t>(perform(operations[i]));
	return 0;
}

bool in_use_by_others()
{
	for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; own_entry(i).flags; i++) {
		if (read_once(*own_entry(i).in_use) & (GTF_reading | GTF_writing))
			return true;
	}
	return false;
}

long set_version(const gnttab_set_version &set)
{
	if (set.version != 1 && set.version != 2)
		return -XEN_EINVAL;
	if (set.version == 1 && refuses_version_1)
		return -XEN_EPERM;
	if (set.version != grants.version && in_use_by_others())
		return -XEN_EBUSY;
	grants.version = set.version;
	return 0;
}

} // namespace

void fake_grants_reset()
{
	for (ForeignGrant &grant : grants.foreign) {
		if (grant.page)
			xpv_pages_free(grant.page, 0);
	}
	__builtin_memset(static_cast<void *>(&grants), 0, sizeof(grants));
	ensure_started();
}

void fake_grants_restore()
{
	ensure_started();
	SpinGuard guard(grants.lock);
	grants.version = refuses_version_1 ? 2 : 1;
	grants.frames = 1;
	grants.max_frames = next_max_frames;
	for (void *&frame : grants.entries)
		frame = nullptr;
	for (grant_status_t *&frame : grants.statuses)
		frame = nullptr;
	for (Handle &handle : grants.handles)
		handle = {};
	for (ForeignGrant &grant : grants.foreign)
		grant.mapped = 0;
}

long fake_grants_add_frame(unsigned long index, void *memory)
{
	ensure_started();
	if (grants.version == 2 && (index & XENMAPIDX_grant_table_status)) {
		index &= ~static_cast<unsigned long>(XENMAPIDX_grant_table_status);
		if (index >= status_frames_room)
			return -XEN_EINVAL;
		grants.statuses[index] = static_cast<grant_status_t *>(memory);
		return 0;
	}
	if (index >= grants.max_frames)
		return -XEN_EINVAL;
	grants.entries[index] = memory;
	if (index >= grants.frames)
		grants.frames = static_cast<unsigned int>(index) + 1;
	return 0;
}

void fake_grants_remove_frame(const void *memory)
{
	for (void *&frame : grants.entries) {
		if (memory == frame)
			frame = nullptr;
	}
	for (grant_status_t *&frame : grants.statuses) {
		if (memory == frame)
			frame = nullptr;
	}
}

long fake_grant_table_op(unsigned int command, unsigned long argument, unsigned int count)
{
	ensure_started();
	switch (command) {
	case GNTTABOP_query_size: {
		auto *query = reinterpret_cast<gnttab_query_size *>(argument);
		query->nr_frames = grants.frames;
		query->max_nr_frames = grants.max_frames;
		query->status = GNTST_okay;
		return 0;
	}
	case GNTTABOP_set_version:
		return set_version(*reinterpret_cast<gnttab_set_version *>(argument));
	case GNTTABOP_get_version:
		reinterpret_cast<gnttab_get_version *>(argument)->version = grants.version;
		return 0;
	case GNTTABOP_map_grant_ref:
		return each<gnttab_map_grant_ref>(argument, count, map);
	case GNTTABOP_unmap_grant_ref:
		return each<gnttab_unmap_grant_ref>(argument, count, [](gnttab_unmap_grant_ref &operation) {
			return unmap(operation);
		});
	case GNTTABOP_copy:
		return each<gnttab_copy>(argument, count, [](gnttab_copy &operation) { return copy(operation); });
	}
	return -XEN_ENOSYS;
}

} // namespace xpv

extern "C" {

int xpv_fake_map_grant(struct xpv_domid remote, struct xpv_gref reference, bool writable, struct xpv_gfn *frame)
{
	using namespace xpv;

	OwnEntry entry = own_entry(reference.value);
	if (!entry.flags)
		return -XEN_EINVAL;
	unsigned int in_use = GTF_reading | (writable ? GTF_writing : 0);
	uint16_t flags = read_once(*entry.flags);
	if (grants.version == 1) {
		for (;;) {
			entry = own_entry(reference.value);
			if (!permits(flags, writable) || !(entry.domain == remote))
				return -XEN_EACCES;
			if (compare_exchange(*entry.flags, flags, static_cast<uint16_t>(flags | in_use)))
				break;
		}
	} else {
		/* Who has it mapped is not asked for the type again, as in Xen. */
		bool pinned = read_once(*entry.in_use) & (GTF_reading | GTF_writing);
		if (!(entry.domain == remote) || (!pinned && !permits(flags, writable)) ||
		    (writable && (flags & GTF_readonly)))
			return -XEN_EACCES;
		change_bits(*entry.in_use, 0, in_use);
		virt_mb();
		flags = read_once(*entry.flags);
		if (!pinned && !permits(flags, writable)) {
			change_bits(*entry.in_use, in_use, 0);
			return -XEN_EACCES;
		}
	}
	*frame = own_entry(reference.value).frame;
	return 0;
}

void xpv_fake_unmap_grant(struct xpv_gref reference)
{
	xpv::OwnEntry entry = xpv::own_entry(reference.value);
	if (entry.flags)
		xpv::change_bits(*entry.in_use, GTF_reading | GTF_writing, 0);
}

unsigned int xpv_fake_active_grants(void)
{
	unsigned int active = 0;
	for (uint32_t i = 0;; i++) {
		xpv::OwnEntry entry = xpv::own_entry(i);
		if (!entry.flags)
			return active;
		active += (xpv::read_once(*entry.flags) & GTF_type_mask) != GTF_invalid;
	}
}

void *xpv_fake_foreign_grant(struct xpv_domid domain, struct xpv_gref reference, bool writable)
{
	using namespace xpv;

	ensure_started();
	void *page = xpv_pages_alloc(0, XPV_MAY_SLEEP);
	if (!page)
		return nullptr;
	{
		SpinGuard guard(grants.lock);
		for (ForeignGrant &grant : grants.foreign) {
			if (grant.page)
				continue;
			grant = { page, domain, reference, writable, 0, 0, 0 };
			return page;
		}
	}
	xpv_pages_free(page, 0);
	return nullptr;
}

unsigned int xpv_fake_foreign_end(struct xpv_domid domain, struct xpv_gref reference)
{
	using namespace xpv;

	void *page;
	{
		SpinGuard guard(grants.lock);
		ForeignGrant *grant = foreign_grant(domain, reference);
		if (!grant)
			return 0;
		if (grant->mapped != 0)
			return grant->mapped;
		page = grant->page;
		*grant = {};
	}
	xpv_pages_free(page, 0);
	return 0;
}

void xpv_fake_foreign_answer(struct xpv_domid domain, struct xpv_gref reference, int status, unsigned int times)
{
	xpv::SpinGuard guard(xpv::grants.lock);
	if (xpv::ForeignGrant *grant = xpv::foreign_grant(domain, reference)) {
		grant->answer = status;
		grant->answers = times;
	}
}

void xpv_fake_refuse_unmap(unsigned int times)
{
	xpv::SpinGuard guard(xpv::grants.lock);
	xpv::grants.refused_unmaps = times;
}

unsigned int xpv_fake_foreign_mapped(void)
{
	xpv::SpinGuard guard(xpv::grants.lock);
	unsigned int mapped = 0;
	for (xpv::ForeignGrant &grant : xpv::grants.foreign)
		mapped += grant.mapped;
	return mapped;
}

unsigned int xpv_fake_largest_grant_batch(void)
{
	return xpv::exchange(xpv::grants.largest_batch, 0u);
}

void xpv_fake_set_max_grant_frames(unsigned int frames)
{
	xpv::next_max_frames = frames < xpv::frames_room ? frames : xpv::frames_room;
}

void xpv_fake_refuse_grant_version_1(bool refuse)
{
	xpv::refuses_version_1 = refuse;
}

} /* extern "C" */
