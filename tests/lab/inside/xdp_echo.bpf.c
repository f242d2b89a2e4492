// SPDX-License-Identifier: GPL-2.0-only
/*
 * An XDP program that answers UDP over IPv4 to port 7 itself: addresses and ports
 * change places, which leaves checksums right. SEND says how: as the verdict, or by
 * ndo_xdp_xmit. All else passes.
 *
 *     clang -O2 -target bpf -DSEND=SEND_BACK -c xdp_echo.bpf.c
 *
 * Without headers, so that it builds anywhere. The numbers are those of linux/bpf.h.
 */

#define SEND_BACK 0
#define SEND_REDIRECTED 1
#define SEND_NOTHING 2
#define SEND_ABORTED 3

enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX };

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex;
};

struct packet {
	u8 to[6], from[6];
	u16 type;
	u8 version, tos;
	u16 length, id, fragment;
	u8 ttl, protocol;
	u16 checksum;
	u16 source[2], destination[2];
	u16 source_port, destination_port;
};

char its_license[] __attribute__((section("license"), used)) = "GPL";

static long (*const redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const adjust_head)(struct xdp_md *context, int delta) = (void *)44;

__attribute__((section("xdp"), used)) int xdp_echo(struct xdp_md *context)
{
	struct packet *packet;
	u8 address[6];
	u16 word;
	int i;

	/* There is headroom, whatever the backend does. */
	if (adjust_head(context, -200) || adjust_head(context, 200))
		return XDP_ABORTED;
	packet = (void *)(long)context->data;
	if ((void *)(packet + 1) > (void *)(long)context->data_end)
		return XDP_PASS;
	if (packet->type != __builtin_bswap16(0x0800) || packet->version != 0x45 || packet->protocol != 17 ||
	    packet->fragment & __builtin_bswap16(0x3fff) || packet->destination_port != __builtin_bswap16(7))
		return XDP_PASS;
	if (SEND == SEND_NOTHING)
		return XDP_DROP;
	if (SEND == SEND_ABORTED)
		return XDP_ABORTED;
	__builtin_memcpy(address, packet->to, 6);
	__builtin_memcpy(packet->to, packet->from, 6);
	__builtin_memcpy(packet->from, address, 6);
#pragma unroll
	for (i = 0; i < 2; i++) {
		word = packet->source[i];
		packet->source[i] = packet->destination[i];
		packet->destination[i] = word;
	}
	word = packet->source_port;
	packet->source_port = packet->destination_port;
	packet->destination_port = word;
	return SEND == SEND_REDIRECTED ? redirect(context->ingress_ifindex, 0) : XDP_TX;
}
