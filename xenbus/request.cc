// SPDX-License-Identifier: GPL-2.0-only
/* A request in the form that the wire has, for those who pass on what others ask. */
#include "xenbus/store.hh"

using namespace xpv;

namespace {

/* No answer, as far as can be told from an error. */
bool unanswered(Error error)
{
	return error == XEN_ETIMEDOUT || error == XEN_EIO || error == XEN_ENOMEM || error == XEN_EMSGSIZE;
}

} // namespace

int xpv_store_request(unsigned int type, xpv_store_transaction transaction, const void *body, unsigned int length,
		      unsigned int *reply_type, void *reply, unsigned int *reply_length)
{
	const std::string_view parts[] = { { static_cast<const char *>(body), length } };
	auto submitted = store().client.submit(type, transaction, parts, XENSTORE_PAYLOAD_MAX);
	if (!submitted.ok())
		return submitted.code();
	Call call = submitted.take();
	auto answer = call.wait();
	std::string_view payload;
	if (answer.ok()) {
		*reply_type = type;
		payload = answer.value();
	} else {
		if (unanswered(answer.error()))
			return answer.code();
		*reply_type = XS_ERROR;
		payload = store_error_name(answer.error());
	}
	__builtin_memcpy(reply, payload.data(), payload.size());
	*reply_length = static_cast<unsigned int>(payload.size());
	return 0;
}
