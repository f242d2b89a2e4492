// SPDX-License-Identifier: GPL-2.0-only
/* Packets: their bytes, the sk_buffs to send, which are counted when they are released, and what was received. */

#include "netfront_kunit.h"

#include <linux/etherdevice.h>
#include <linux/gfp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/random.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

/* How many packets of a test are counted one by one. */
#define TRACKED 16384

atomic_t packets_built, packets_released;
u8 packet_bytes[PACKET_BYTES];
static atomic_t releases[TRACKED];

/* ---- Counts ---- */

void packets_reset(void)
{
	memset(releases, 0, sizeof(releases));
	atomic_set(&packets_built, 0);
	atomic_set(&packets_released, 0);
}

unsigned int packet_releases(unsigned int number)
{
	return number < TRACKED ? atomic_read(&releases[number]) : 1;
}

/* Linux copies the mark, but not the destructor, to the packets into which it segments one. */
static void count_release(struct sk_buff *skb)
{
	if (skb->mark < TRACKED)
		atomic_inc(&releases[skb->mark]);
	atomic_inc(&packets_released);
}

void packet_track(struct sk_buff *skb)
{
	skb->mark = atomic_inc_return(&packets_built) - 1;
	skb->destructor = count_release;
}

/* ---- Bytes ---- */

static void write_ethernet(u8 *to, u16 protocol)
{
	static const u8 addresses[2 * ETH_ALEN] = { 0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02 };
	struct ethhdr *eth = (struct ethhdr *)to;

	memcpy(to, addresses, sizeof(addresses));
	eth->h_proto = htons(protocol);
}

void write_plain(u8 *to, unsigned int length)
{
	get_random_bytes(to, length);
	write_ethernet(to, ETH_P_802_EX1);
}

static void write_tcp(struct tcphdr *tcp, unsigned int header)
{
	memset(tcp, 0, header);
	tcp->source = htons(1000);
	tcp->dest = htons(2000);
	tcp->seq = htonl(1);
	tcp->ack_seq = htonl(1);
	tcp->doff = header / 4;
	tcp->ack = 1;
	tcp->window = htons(1000);
}

unsigned int write_tcp4(u8 *to, unsigned int ip_header, unsigned int tcp_header, unsigned int payload)
{
	struct iphdr *ip = (struct iphdr *)(to + ETH_HLEN);
	struct tcphdr *tcp = (struct tcphdr *)(to + ETH_HLEN + ip_header);

	write_ethernet(to, ETH_P_IP);
	memset(ip, 0, ip_header);
	ip->version = 4;
	ip->ihl = ip_header / 4;
	ip->tot_len = htons(ip_header + tcp_header + payload);
	ip->frag_off = htons(IP_DF);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = htonl(0xc0000201);
	ip->daddr = htonl(0xc0000202);
	ip->check = ip_fast_csum(ip, ip->ihl);
	write_tcp(tcp, tcp_header);
	tcp->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, tcp_header + payload, IPPROTO_TCP, 0);
	get_random_bytes((u8 *)tcp + tcp_header, payload);
	return ETH_HLEN + ip_header + tcp_header + payload;
}

unsigned int write_tcp6(u8 *to, unsigned int payload)
{
	struct ipv6hdr *ip = (struct ipv6hdr *)(to + ETH_HLEN);
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	write_ethernet(to, ETH_P_IPV6);
	memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = htons(sizeof(*tcp) + payload);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = 64;
	ip->saddr.s6_addr[0] = ip->daddr.s6_addr[0] = 0xfd;
	ip->saddr.s6_addr[15] = 1;
	ip->daddr.s6_addr[15] = 2;
	write_tcp(tcp, sizeof(*tcp));
	tcp->check = ~csum_ipv6_magic(&ip->saddr, &ip->daddr, sizeof(*tcp) + payload, IPPROTO_TCP, 0);
	get_random_bytes(tcp + 1, payload);
	return TCP6_HEADERS + payload;
}

bool tcp4_checksum_right(const u8 *data, unsigned int length)
{
	const struct iphdr *ip = (const struct iphdr *)(data + ETH_HLEN);
	unsigned int offset = ETH_HLEN + ip->ihl * 4;

	return !csum_tcpudp_magic(ip->saddr, ip->daddr, length - offset, IPPROTO_TCP,
				  csum_partial(data + offset, length - offset, 0));
}

/* ---- To send ---- */

static struct sk_buff *finish(struct sk_buff *skb)
{
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = ((const struct ethhdr *)skb->data)->h_proto;
	packet_track(skb);
	return skb;
}

struct sk_buff *packet_linear(unsigned int length)
{
	struct sk_buff *skb = alloc_skb(max_t(unsigned int, length, ETH_HLEN), GFP_KERNEL);

	if (!skb)
		return NULL;
	write_plain(skb->data, max_t(unsigned int, length, ETH_HLEN));
	skb_put(skb, length);
	return finish(skb);
}

struct sk_buff *packet_in_pages(unsigned int order, unsigned int offset, unsigned int length)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	struct sk_buff *skb;

	if (!page)
		return NULL;
	skb = build_skb(page_address(page), PAGE_SIZE << order);
	if (!skb) {
		__free_pages(page, order);
		return NULL;
	}
	skb_reserve(skb, offset);
	write_plain(skb_put(skb, length), length);
	return finish(skb);
}

struct page *packet_add_frag(struct sk_buff *skb, unsigned int order, unsigned int offset, unsigned int length)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);

	if (!page)
		return NULL;
	get_random_bytes(page_address(page) + offset, length);
	skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, offset, length, length);
	return page;
}

struct sk_buff *packet_from_bytes(unsigned int length, unsigned int linear)
{
	struct sk_buff *skb = alloc_skb(linear, GFP_KERNEL);
	unsigned int from = linear;

	if (!skb)
		return NULL;
	skb_put_data(skb, packet_bytes, linear);
	while (from < length) {
		unsigned int size = min_t(unsigned int, length - from, PAGE_SIZE);
		struct page *page = packet_add_frag(skb, 0, 0, size);

		if (!page) {
			kfree_skb(skb);
			return NULL;
		}
		memcpy(page_address(page), packet_bytes + from, size);
		from += size;
	}
	return finish(skb);
}

struct sk_buff *packet_tcp(unsigned int length, unsigned int linear, unsigned int tcp_offset, unsigned int gso_size)
{
	struct sk_buff *skb = packet_from_bytes(length, linear);
	bool is_v4;

	if (!skb)
		return NULL;
	is_v4 = skb->protocol == htons(ETH_P_IP);
	skb_set_transport_header(skb, tcp_offset);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct tcphdr, check);
	if (gso_size) {
		skb_shinfo(skb)->gso_size = gso_size;
		skb_shinfo(skb)->gso_type = is_v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
		skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(length - tcp_offset - sizeof(struct tcphdr), gso_size);
	}
	return skb;
}

/* ---- Received ---- */

void expect_received(struct kunit *test, struct sk_buff *skb, const u8 *data, unsigned int length)
{
	/* Linux has removed the Ethernet header. */
	unsigned int left = length - ETH_HLEN;
	u8 *copy = kunit_kmalloc(test, left, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_ASSERT_EQ(test, left, skb->len);
	KUNIT_EXPECT_EQ(test, 0, memcmp(skb_mac_header(skb), data, ETH_HLEN));
	KUNIT_ASSERT_EQ(test, 0, skb_copy_bits(skb, 0, copy, left));
	KUNIT_EXPECT_EQ(test, 0, memcmp(copy, data + ETH_HLEN, left));
	KUNIT_EXPECT_EQ(test, (unsigned int)PACKET_HOST, (unsigned int)skb->pkt_type);
}
