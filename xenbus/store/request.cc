// SPDX-License-Identifier: GPL-2.0-only
/* The functions of store_owned.h. */
#include "xenbus/store/store.hh"
#include "xenbus/store_owned.h"

using namespace xpv;

namespace xpv {

namespace {

/*
 * Return whether a user of this guest may send the request. The others are for
 * dom0, are sent only by xenstored, or would interfere with our own watches.
 */
bool requestable(unsigned int type)
{
	switch (type) {
	case XS_CONTROL:
	case XS_DIRECTORY:
	case XS_DIRECTORY_PART:
	case XS_READ:
	case XS_GET_PERMS:
	case XS_TRANSACTION_START:
	case XS_TRANSACTION_END:
	case XS_INTRODUCE:
	case XS_RELEASE:
	case XS_GET_DOMAIN_PATH:
	case XS_WRITE:
	case XS_MKDIR:
	case XS_RM:
	case XS_SET_PERMS:
	case XS_IS_DOMAIN_INTRODUCED:
	case XS_RESUME:
	case XS_SET_TARGET:
		return true;
	default:
		return false;
	}
}

Status request(unsigned int type, xpv_store_transaction transaction, std::string_view body, unsigned int &reply_type,
	       void *reply, unsigned int &reply_length)
{
	if (!requestable(type))
		return Error(XEN_EINVAL);
	const std::string_view parts[] = { body };
	auto prepared = XPV_TRY(Client::prepare(type, transaction, parts, XENSTORE_PAYLOAD_MAX));
	prepared->raw = true;
	Call call = XPV_TRY(store().client.submit(std::move(prepared)));
	std::string_view answer = XPV_TRY(call.wait());
	__builtin_memcpy(reply, answer.data(), answer.size());
	reply_length = static_cast<unsigned int>(answer.size());
	reply_type = call.reply_type();
	return {};
}

} // namespace

} // namespace xpv

int xpv_store_request(unsigned int type, uint32_t transaction, const void *body, unsigned int length,
		      unsigned int *reply_type, void *reply, unsigned int *reply_length)
{
	return request(type, { transaction }, { length ? static_cast<const char *>(body) : "", length }, *reply_type,
		       reply, *reply_length)
		.code();
}

int xpv_store_reset_watches()
{
	const std::string_view parts[] = { std::string_view("", 1) };
	Status reset = store().client.perform(XS_RESET_WATCHES, XPV_STORE_NO_TRANSACTION, parts);
	if (!reset.ok())
		return reset.code();
	store().client.forget_transactions();
	store().watches.register_all();
	return 0;
}
