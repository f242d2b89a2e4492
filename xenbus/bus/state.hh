/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The handshake of a frontend as a table: for each pair of our phase and the
 * backend's state, the action to take. The table contains no code, so that each
 * entry can be read and tested separately.
 */
#pragma once

#include <string_view>

#include <xen/io/xenbus.h>

namespace xpv {

/*
 * Our phase of the handshake. Finer than the state we publish: Closed has two
 * phases, because the driver keeps its ring and grants until the backend has
 * unmapped them.
 */
enum class Phase : unsigned char {
	initialising, /* nothing is shared yet */
	initialised, /* our details are published */
	connected,
	closing, /* Closing is published; waiting for the backend to respond */
	draining, /* Closed is published; waiting for the backend to unmap */
	closed, /* nothing is shared any more */
};
inline constexpr unsigned int phase_count = 6;

/* What a state node says: the backend's, or our own. */
enum class NodeState : unsigned char {
	missing, /* no node, no permission to read it, or 0 (Unknown) */
	initialising,
	init_wait,
	initialised,
	connected,
	closing,
	closed,
	reconfiguring,
	reconfigured,
	nonsense, /* anything else */
};
inline constexpr unsigned int node_state_count = 10;

/* The "online" node of the backend's directory, which the toolstack writes. Not every backend has it. */
enum class Online : unsigned char {
	unsaid,
	yes,
	no, /* the toolstack detaches the device */
};

/* The goal of the handshake. */
enum class Aim : unsigned char {
	connect, /* connect, and stay connected */
	restart, /* end this connection and make another; keep the device, if there is one */
	detach, /* end device and connection; start again when the backend is in InitWait */
	end, /* end device and connection, and stay Closed until a driver is bound again */
};

/* What the driver holds: see xenbus.h. */
struct Held {
	bool connection;
	bool device;
};

/*
 * Return whether this combination is valid:
 *
 *   phase         aim                       connection   device
 *   initialising  connect                   no           any
 *   initialised   connect                   yes          any
 *   connected     connect                   yes          yes
 *   closing       restart, detach, end      any          any
 *   draining      restart, detach, end      any          any
 *   closed        restart                   no           any
 *   closed        detach, end               no           no
 */
[[nodiscard]] bool possible(Phase phase, Aim aim, Held held);

enum class Action : unsigned char {
	wait, /* for the backend's next state */
	ignore, /* the state has no meaning in this phase */
	negotiate, /* driver: negotiate(); then `next` */
	connect, /* driver: connect(); then `next` */
	recheck, /* driver: backend_changed() */
	close, /* the backend closes: end the device in an orderly way, unless it survives; then `next` */
	restart, /* `next`; reopen once closed */
	proceed, /* `next` */
	release, /* driver: disconnect(), if that is due; then `next` */
	reopen, /* `next`, unless the toolstack detaches the device */
	reopen_if_wanted, /* `next`, if a restart is in progress */
	confirm, /* write our state again, if the toolstack detaches the device: the backend sees only writes */
	complain, /* log that the backend is slow, and keep waiting */
};

struct Transition {
	Action action;
	Phase next;

	friend constexpr bool operator==(Transition, Transition) = default;
};

/* Return the table's entry for a pair. */
[[nodiscard]] Transition transition(Phase ours, NodeState backend);
/* Return the transition for a backend that did not change its state within time_limit_ms(ours). */
[[nodiscard]] Transition late_transition(Phase ours);
/* Return how long to wait for the backend in a phase; 0: no limit, and no log line. */
[[nodiscard]] unsigned int time_limit_ms(Phase ours);
/* Return the state to publish in a phase. */
[[nodiscard]] xenbus_state published_state(Phase ours);
/* Parse the text of a state node. */
[[nodiscard]] NodeState parse_state(std::string_view text);
/* As parse_state(), of what xpv_store_read() returned. */
[[nodiscard]] NodeState parse_read_state(int read, const char *value);
/* Return the name of a state for log lines and sysfs, e.g. "InitWait". */
[[nodiscard]] const char *state_name(NodeState state);

/*
 * Return the phase to start in when our own node says `own`: an earlier load or
 * another kernel may have left the device in any state. Unless the node is
 * fresh, start with an orderly close that the backend can follow.
 */
[[nodiscard]] Phase first_phase(NodeState own, NodeState backend);

} // namespace xpv
