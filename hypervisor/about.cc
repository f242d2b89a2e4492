// SPDX-License-Identifier: GPL-2.0-only
/* Xen's information about itself (version.h), in the format of /sys/hypervisor. */
#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor.h"
#include "hypervisor/linux.h"
#include "lib/address.hh"
#include "lib/memory.hh"

using namespace xpv;

namespace xpv {

namespace {

/* Print a string that Xen wrote into an array of fixed size. */
template <size_t size>
int line(char *text, const char (&from)[size])
{
	return xpv_format(text, page_size, "%.*s\n", static_cast<int>(size), from);
}

template <typename T, typename Show>
int ask(unsigned int command, Show show)
{
	auto answer = make<T>(XPV_MAY_SLEEP);
	if (!answer.ok())
		return answer.code();
	long code = xen_version(command, answer.value().get());
	return code < 0 ? static_cast<int>(code) : show(*answer.value());
}

struct CompileInfo : xen_compile_info_t {};
struct Extra {
	xen_extraversion_t text;
};
struct Capabilities {
	xen_capabilities_info_t text;
};
struct Changeset {
	xen_changeset_info_t text;
};
struct Uuid {
	xen_domain_handle_t bytes;
};

int uuid(char *text, const Uuid &its)
{
	const auto *b = its.bytes;
	return xpv_format(text, page_size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n",
			  b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
			  b[15]);
}

int buildid(char *text)
{
	long length = xen_version(XENVER_build_id, nullptr);
	if (length == -XEN_EPERM)
		return xpv_format(text, page_size, "<denied>");
	if (length < 0)
		return static_cast<int>(length);
	if (static_cast<size_t>(length) > page_size - sizeof(xen_build_id_t))
		return -XEN_ENOSPC;
	auto made = Array<char>::make(page_size, XPV_MAY_SLEEP);
	if (!made.ok())
		return made.code();
	Array<char> memory = made.take();
	auto *id = value_at<xen_build_id_t>(memory.data());
	id->len = static_cast<uint32_t>(length);
	long written = xen_version(XENVER_build_id, id);
	if (written < 0 || written > length)
		return written < 0 ? static_cast<int>(written) : -XEN_EIO;
	__builtin_memcpy(text, id->buf, static_cast<size_t>(written));
	return static_cast<int>(written);
}

} // namespace

} // namespace xpv

int xpv_hypervisor_about(enum xpv_about what, char *text)
{
	unsigned int version = xpv_hypervisor_version();
	switch (what) {
	case XPV_ABOUT_MAJOR:
		return xpv_format(text, page_size, "%u\n", version >> 16);
	case XPV_ABOUT_MINOR:
		return xpv_format(text, page_size, "%u\n", version & 0xffff);
	case XPV_ABOUT_EXTRA:
		return ask<Extra>(XENVER_extraversion, [=](const Extra &its) { return line(text, its.text); });
	case XPV_ABOUT_UUID:
		return ask<Uuid>(XENVER_guest_handle, [=](const Uuid &its) { return uuid(text, its); });
	case XPV_ABOUT_COMPILER:
		return ask<CompileInfo>(XENVER_compile_info, [=](const CompileInfo &its) {
			return line(text, its.compiler);
		});
	case XPV_ABOUT_COMPILED_BY:
		return ask<CompileInfo>(XENVER_compile_info, [=](const CompileInfo &its) {
			return line(text, its.compile_by);
		});
	case XPV_ABOUT_COMPILE_DATE:
		return ask<CompileInfo>(XENVER_compile_info, [=](const CompileInfo &its) {
			return line(text, its.compile_date);
		});
	case XPV_ABOUT_CAPABILITIES:
		return ask<Capabilities>(XENVER_capabilities, [=](const Capabilities &its) {
			return line(text, its.text);
		});
	case XPV_ABOUT_CHANGESET:
		return ask<Changeset>(XENVER_changeset, [=](const Changeset &its) { return line(text, its.text); });
	case XPV_ABOUT_VIRTUAL_START:
		return ask<xen_platform_parameters_t>(XENVER_platform_parameters, [=](const xen_platform_parameters_t &its) {
			return xpv_format(text, page_size, "%lx\n", static_cast<unsigned long>(its.virt_start));
		});
	case XPV_ABOUT_PAGESIZE: {
		long size = xen_version(XENVER_pagesize, nullptr);
		return size < 0 ? static_cast<int>(size) :
				  xpv_format(text, page_size, "%x\n", static_cast<unsigned int>(size));
	}
	case XPV_ABOUT_FEATURES:
		return ask<xen_feature_info_t>(XENVER_get_features, [=](const xen_feature_info_t &its) {
			return xpv_format(text, page_size, "%08x\n", its.submap);
		});
	case XPV_ABOUT_BUILDID:
		return buildid(text);
	}
	return -XEN_EINVAL;
}
