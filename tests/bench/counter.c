// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU plugin: what each measured round of a benchmark module executes, on the
 * processor that executes it. A round is what lies between two marked no-ops
 * (COUNTER_MARK in bench.h); a third one ends the measure, and writes a line:
 *
 *     NUMBER ROUNDS CLASS MEDIAN SMALLEST CLASS MEDIAN SMALLEST ...
 *
 * A fourth one says that the measure that ends next is that of a tick of the
 * kernel's clock, and a fifth one, in a round, that it had such a tick, which is
 * not counted. Where at least an eighth of the rounds had fewer ticks than the
 * others, only those are taken. A sixth one, after a round, says that it was not
 * what was to be measured.
 *
 * Instructions of Xen and of its guests are told apart by their addresses, of
 * which Xen has 0xffff8000... to 0xffff87ff... for itself.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum mark { BEGIN, END, DONE, IS_TICK, TICK, VOID, NO_MARK };
enum class { INSTRUCTIONS, LOCKED, FENCES, HYPERCALLS, STEPS, ENTRIES, XEN, CLASSES, ORDINARY };
static const char *const names[CLASSES] = { "instructions", "locked", "fences", "hypercalls", "steps", "entries", "xen" };

enum { PROCESSORS = 16, ROUNDS = 4096 };

/* One processor's; only its own thread uses it. */
struct processor {
	bool active, in_xen, is_tick;
	uint64_t now[CLASSES];
	uint64_t tick[CLASSES];
	uint64_t rounds[CLASSES][ROUNDS];
	unsigned int ticks_now, ticks[ROUNDS]; /* of a round */
	unsigned int count;
};
static struct processor processors[PROCESSORS];
static FILE *out;

static bool of_xen(uint64_t address)
{
	return address >= 0xffff800000000000 && address < 0xffff880000000000;
}

/* After the legacy prefixes and REX. */
static const uint8_t *opcode(const uint8_t *byte, const uint8_t *end, bool *lock, bool *repeat)
{
	*lock = *repeat = false;
	for (; byte < end; byte++) {
		if (*byte == 0xf0)
			*lock = true;
		else if (*byte == 0xf2 || *byte == 0xf3)
			*repeat = true;
		else if (!*byte || (!strchr("\x66\x2e\x36\x3e\x26\x64\x65", *byte) && (*byte & 0xf0) != 0x40))
			break;
	}
	return byte;
}

static enum mark mark_of(const uint8_t *byte, size_t size)
{
	static const uint8_t head[] = { 0x0f, 0x1f, 0x80 }, tail[] = { 0x56, 0x50, 0x58 };

	if (size != 7 || memcmp(byte, head, sizeof(head)) || memcmp(byte + 4, tail, sizeof(tail)) || byte[3] >= NO_MARK)
		return NO_MARK;
	return byte[3];
}

static enum class class_of(const uint8_t *byte, size_t size) {
	const uint8_t *end = byte + size; bool lock, repeat; const uint8_t *code = opcode(byte, end, &lock, &repeat);

	if (lock) return LOCKED;
	/* The emulator executes a repeated string instruction once for each of its steps. */
	if (repeat && end - code == 1 && *code >= 0xa4 && *code <= 0xaf) return STEPS;
	/* xchg with memory locks without saying so. */
	if (end - code >= 2 && (code[0] == 0x86 || code[0] == 0x87) && code[1] < 0xc0) return LOCKED;
	if (end - code < 3 || code[0] != 0x0f) return ORDINARY;
	if (code[1] == 0xae && code[2] >= 0xe8) return FENCES;
	if (code[1] == 0x01 && (code[2] == 0xc1 || code[2] == 0xd9)) return HYPERCALLS;
	return ORDINARY;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Leave only the rounds with as few ticks as an eighth of them has. */
static void choose_rounds(struct processor *self)
{
	unsigned int most = 0, few = 0, kept = 0;

	for (;; most++) {
		for (unsigned int i = 0; i < self->count; i++)
			few += self->ticks[i] == most;
		if (few * 8 >= self->count)
			break;
	}
	for (unsigned int i = 0; i < self->count; i++) {
		if (self->ticks[i] > most)
			continue;
		for (int k = 0; k < CLASSES; k++)
			self->rounds[k][kept] = self->rounds[k][i];
		kept++;
	}
	self->count = kept;
}

static void write_measure(struct processor *self)
{
	static unsigned int number;

	choose_rounds(self);
	fprintf(out, "%u %u", number++, self->count);
	for (int i = 0; i < CLASSES && self->count; i++) {
		qsort(self->rounds[i], self->count, sizeof(self->rounds[i][0]), compare);
		fprintf(out, " %s %" PRIu64 " %" PRIu64, names[i], self->rounds[i][self->count / 2], self->rounds[i][0]);
		if (self->is_tick)
			self->tick[i] = self->rounds[i][self->count / 2];
	}
	fprintf(out, "\n");
	fflush(out);
	self->count = 0;
	self->is_tick = false;
}

static void take_tick(struct processor *self)
{
	self->ticks_now++;
	for (int i = 0; i < CLASSES; i++)
		self->now[i] -= self->now[i] < self->tick[i] ? self->now[i] : self->tick[i];
}

static void on_mark(unsigned int cpu, void *mark)
{
	struct processor *self = &processors[cpu % PROCESSORS];

	switch ((enum mark)(uintptr_t)mark) {
	case BEGIN:
		memset(self->now, 0, sizeof(self->now));
		self->ticks_now = 0;
		self->in_xen = false;
		self->active = true;
		break;
	case END:
		self->active = false;
		for (int i = 0; i < CLASSES && self->count < ROUNDS; i++)
			self->rounds[i][self->count] = self->now[i];
		if (self->count < ROUNDS)
			self->ticks[self->count] = self->ticks_now;
		self->count += self->count < ROUNDS;
		break;
	case IS_TICK:
		self->is_tick = true;
		break;
	case TICK:
		take_tick(self);
		break;
	case VOID:
		self->count -= self->count > 0;
		break;
	default:
		write_measure(self);
	}
}

/* `what`: how many instructions, times two, and one if they are Xen's. */
static void on_instructions(unsigned int cpu, void *what)
{
	struct processor *self = &processors[cpu % PROCESSORS];
	bool xen = (uintptr_t)what & 1;

	if (!self->active)
		return;
	self->now[ENTRIES] += xen && !self->in_xen;
	self->in_xen = xen;
	self->now[xen ? XEN : INSTRUCTIONS] += (uintptr_t)what >> 1;
}

static void on_class(unsigned int cpu, void *class)
{
	struct processor *self = &processors[cpu % PROCESSORS];

	if (self->active)
		self->now[(uintptr_t) class]++;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	size_t count = qemu_plugin_tb_n_insns(block);
	uintptr_t xen = of_xen(qemu_plugin_tb_vaddr(block));
	bool marked = false;

	for (size_t i = 0; i < count; i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
		const uint8_t *bytes = qemu_plugin_insn_data(instruction);
		size_t size = qemu_plugin_insn_size(instruction);
		enum mark mark = mark_of(bytes, size);
		enum class class = class_of(bytes, size);

		if (mark != NO_MARK) {
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)mark);
			marked = true;
		} else if (class != ORDINARY && !xen) {
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_class, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t) class);
		}
	}
	if (!marked) {
		qemu_plugin_register_vcpu_tb_exec_cb(block, on_instructions, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)((uintptr_t)count << 1 | xen));
		return;
	}
	/* Those before and after a mark apart. */
	for (size_t i = 0; i < count; i++)
		qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(block, i), on_instructions,
						       QEMU_PLUGIN_CB_NO_REGS, (void *)((uintptr_t)1 << 1 | xen));
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "counter: wants out=FILE\n");
		return 1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
