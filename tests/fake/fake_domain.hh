/* SPDX-License-Identifier: GPL-2.0-only */
/* The domain that the fake hypervisor holds, between the fake's own files. */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/guard.hh"
#include "lib/memory.hh"
#include "tests/fake/fake_fifo.hh"
#include "tests/fake/fake_hypervisor.h"

namespace xpv {

inline constexpr unsigned int fake_max_ports = 256;
inline constexpr unsigned int fake_max_vcpus = 40;
inline constexpr unsigned int fake_max_claims = 16;
inline constexpr unsigned int fake_toolstack_ports = 4; /* 1..4 are made by the toolstack */

struct FakePort {
	unsigned int status; /* EVTCHNSTAT_* */
	uint32_t vcpu;
	uint32_t virq;
	uint32_t priority;
	domid_t remote; /* of an unbound one */
	unsigned int sent;
	void (*peer)(xpv_fake_peer_context *context);
	xpv_fake_peer_context *peer_context;
};

struct FakeClaim {
	void *memory;
	unsigned int order;
	uint64_t stale; /* bits of pages that hold what a domain before this one had there */
};

struct FakeFailure {
	unsigned int number, command, skip;
	int error; /* 0: none */
};

struct FakeDomain {
	bool started;
	RawSpinlock lock; /* callers of hypercalls have raw locks */
	FakeClaim claims[fake_max_claims];
	::shared_info *shared;
	FakePort ports[fake_max_ports];
	FakeFifo fifo;
	uint8_t vectors[fake_max_vcpus];
	vcpu_info *infos[fake_max_vcpus];
	uint64_t params[HVM_NR_PARAMS];
	FakeFailure failure;
};

extern FakeDomain fake_domain;

/* The first hypercall or test call, single-threaded, finds it not started. */
void fake_ensure_started();

/* ---- fake_memory.cc ---- */

/* Return the memory at a guest frame that was claimed; null elsewhere. */
[[nodiscard]] void *fake_claimed_memory(Gfn frame);
[[nodiscard]] long fake_memory_op(unsigned int command, unsigned long argument);

/* ---- fake_upcalls.cc ---- */

[[nodiscard]] vcpu_info *fake_vcpu_info(uint32_t vcpu);
/* Raise the vCPU's upcall, unless it is under way already. */
void fake_upcall(uint32_t vcpu);
/* VCPUOP_register_vcpu_info. */
[[nodiscard]] long fake_register_vcpu_info(uint32_t vcpu, unsigned long argument);
[[nodiscard]] long fake_hvm_op(unsigned int command, unsigned long argument);

/* ---- fake_events.cc ---- */

[[nodiscard]] long fake_event_channel_op(unsigned int command, unsigned long argument);

} // namespace xpv
