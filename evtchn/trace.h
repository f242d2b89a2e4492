/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints of an event's delivery, its EOI and the back-off after spurious events. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xpv_evtchn

#if !defined(XPV_EVTCHN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define XPV_EVTCHN_TRACE_H

#include <linux/tracepoint.h>

/* An event is delivered, in hard irq context: the irq's handler runs next. */
TRACE_EVENT(xpv_event,
	TP_PROTO(unsigned int port, unsigned int irq),
	TP_ARGS(port, irq),
	TP_STRUCT__entry(
		__field(unsigned int, port)
		__field(unsigned int, irq)
	),
	TP_fast_assign(
		__entry->port = port;
		__entry->irq = irq;
	),
	TP_printk("port=%u irq=%u", __entry->port, __entry->irq)
);

/*
 * A threaded handler has returned, or an explicit EOI was given: the port is
 * unmasked unless it has another mask reason.
 */
TRACE_EVENT(xpv_event_eoi,
	TP_PROTO(unsigned int port),
	TP_ARGS(port),
	TP_STRUCT__entry(
		__field(unsigned int, port)
	),
	TP_fast_assign(
		__entry->port = port;
	),
	TP_printk("port=%u", __entry->port)
);

/* A port stays masked for this time because its events are spurious. */
TRACE_EVENT(xpv_event_backoff,
	TP_PROTO(unsigned int port, unsigned int milliseconds),
	TP_ARGS(port, milliseconds),
	TP_STRUCT__entry(
		__field(unsigned int, port)
		__field(unsigned int, milliseconds)
	),
	TP_fast_assign(
		__entry->port = port;
		__entry->milliseconds = milliseconds;
	),
	TP_printk("port=%u milliseconds=%u", __entry->port, __entry->milliseconds)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH evtchn
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
