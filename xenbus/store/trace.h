/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints of the xenstore client: requests, replies, watch events and callbacks. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xpv_xenbus

#if !defined(XPV_XENBUS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define XPV_XENBUS_TRACE_H

#include <linux/tracepoint.h>

#ifndef XPV_XENBUS_TRACE_TEXT
#define XPV_XENBUS_TRACE_TEXT
#define XPV_TRACE_OPERATION 24 /* as long as the longest, XS_IS_DOMAIN_INTRODUCED, and a NUL */

/* Copy a text as one printable word, with a NUL. It may come from xenstore, and may be printed to a terminal. */
static inline void xpv_trace_copy_text(char *to, const char *from, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		to[i] = from[i] > ' ' && from[i] < 127 ? from[i] : '?';
	to[length] = '\0';
}
#endif

/* A request was submitted; it may have to wait for room in the ring. */
TRACE_EVENT(xpv_store_request,
	TP_PROTO(const char *operation, u32 transaction, u32 id, const char *path, size_t length),
	TP_ARGS(operation, transaction, id, path, length),
	TP_STRUCT__entry(
		__array(char, operation, XPV_TRACE_OPERATION)
		__field(u32, transaction)
		__field(u32, id)
		__dynamic_array(char, path, length + 1)
	),
	TP_fast_assign(
		strscpy(__entry->operation, operation, XPV_TRACE_OPERATION);
		__entry->transaction = transaction;
		__entry->id = id;
		xpv_trace_copy_text(__get_dynamic_array(path), path, length);
	),
	TP_printk("transaction=%u operation=%s path=%s id=%u", __entry->transaction, __entry->operation,
		  __get_str(path), __entry->id)
);

/* A request ended, with or without a reply. `result`: 0 or a negative errno; `us`: time since its submission. */
TRACE_EVENT(xpv_store_reply,
	TP_PROTO(const char *operation, u32 transaction, u32 id, const char *path, size_t length, int result, u64 us),
	TP_ARGS(operation, transaction, id, path, length, result, us),
	TP_STRUCT__entry(
		__array(char, operation, XPV_TRACE_OPERATION)
		__field(u32, transaction)
		__field(u32, id)
		__field(int, result)
		__field(u64, us)
		__dynamic_array(char, path, length + 1)
	),
	TP_fast_assign(
		strscpy(__entry->operation, operation, XPV_TRACE_OPERATION);
		__entry->transaction = transaction;
		__entry->id = id;
		__entry->result = result;
		__entry->us = us;
		xpv_trace_copy_text(__get_dynamic_array(path), path, length);
	),
	TP_printk("transaction=%u operation=%s path=%s result=%d us=%llu id=%u", __entry->transaction,
		  __entry->operation, __get_str(path), __entry->result, __entry->us, __entry->id)
);

/* A watch event arrived from xenstored. */
TRACE_EVENT(xpv_store_watch,
	TP_PROTO(const char *path, size_t length, const char *token, size_t token_length),
	TP_ARGS(path, length, token, token_length),
	TP_STRUCT__entry(
		__dynamic_array(char, path, length + 1)
		__dynamic_array(char, token, token_length + 1)
	),
	TP_fast_assign(
		xpv_trace_copy_text(__get_dynamic_array(path), path, length);
		xpv_trace_copy_text(__get_dynamic_array(token), token, token_length);
	),
	TP_printk("path=%s token=%s", __get_str(path), __get_str(token))
);

/* A watch's callback returned. */
TRACE_EVENT(xpv_store_watch_called,
	TP_PROTO(const char *path, size_t length, u64 us),
	TP_ARGS(path, length, us),
	TP_STRUCT__entry(
		__field(u64, us)
		__dynamic_array(char, path, length + 1)
	),
	TP_fast_assign(
		__entry->us = us;
		xpv_trace_copy_text(__get_dynamic_array(path), path, length);
	),
	TP_printk("path=%s us=%llu", __get_str(path), __entry->us)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH xenbus/store
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
