// SPDX-License-Identifier: GPL-2.0-only
/*
 * What packets cost a guest with one CPU, whichever driver the interface has. A
 * round is a burst: from the call of the driver until the last packet was freed,
 * with all interrupts and softirqs of that time; or, of "submit", the driver's
 * calls alone. When it receives, a round is one of the bursts that
 * tests/lab/inside/netload.c sends from dom0, which are consumed where the
 * network stack would get them. The CPU is halted while nothing is to be done.
 */
#define pr_fmt(fmt) "bench_packets: " fmt

#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/tcp.h>

#include "bench.h"

#define MAX_BURST 32
#define SEGMENT 1448
/* The most whole segments in 64 KiB. */
#define FRAME_SEGMENTS 45
#define FRAME_PAGES DIV_ROUND_UP(SEGMENT *FRAME_SEGMENTS, PAGE_SIZE)
#define HEADROOM 128
/* netload.c's, at the beginning of each packet's data; the packet's number in its burst follows. */
#define MAGIC 0x78707662
#define PATIENCE (10 * HZ)

static char *interface = "eth0";
module_param(interface, charp, 0);
static char *what = "datagram";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "datagram, segment or frame to transmit, or receive");
static unsigned int burst = 1;
module_param(burst, uint, 0);
static char *to = "";
module_param(to, charp, 0);
MODULE_PARM_DESC(to, "Ethernet address to transmit to");

static unsigned int pause_us = 1000;
module_param(pause_us, uint, 0);
MODULE_PARM_DESC(pause_us, "part of the time between bursts in which none is awaited");

static struct net_device *device;
static u8 destination[ETH_ALEN];
static struct page *pages[FRAME_PAGES];
static struct sk_buff *packets[MAX_BURST];
/* Packets; written in softirqs, as `handled` is, which has the packets freed, or the bursts received. */
static unsigned int received;
static unsigned int incomplete;
/* Something did not happen in time: what is left is not measured. */
static bool broken;

/* ---- Packets ---- */

static void on_free(struct sk_buff *skb)
{
	WRITE_ONCE(handled, handled + 1);
}

/* Between addresses that nobody has, so that the other end drops it without an answer. */
static void put_headers(struct sk_buff *skb, u8 protocol, unsigned int payload)
{
	unsigned int length = payload + (protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	__be32 from = htonl(0x0a4dfe01), into = htonl(0x0a4dfe02);
	__sum16 sum = ~csum_tcpudp_magic(from, into, length, protocol, 0);
	struct ethhdr *eth;
	struct iphdr *ip;

	skb_reset_mac_header(skb);
	eth = skb_put_zero(skb, ETH_HLEN);
	ether_addr_copy(eth->h_dest, destination);
	ether_addr_copy(eth->h_source, device->dev_addr);
	eth->h_proto = htons(ETH_P_IP);
	skb->protocol = eth->h_proto;

	skb_set_network_header(skb, ETH_HLEN);
	ip = skb_put_zero(skb, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->frag_off = htons(IP_DF);
	ip->protocol = protocol;
	ip->tot_len = htons(sizeof(*ip) + length);
	ip->saddr = from;
	ip->daddr = into;
	ip->check = ip_fast_csum(ip, ip->ihl);

	skb_set_transport_header(skb, ETH_HLEN + sizeof(*ip));
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->ip_summed = CHECKSUM_PARTIAL;
	if (protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = skb_put_zero(skb, sizeof(*tcp));

		tcp->source = tcp->dest = htons(9);
		tcp->doff = 5;
		tcp->ack = 1;
		tcp->check = sum;
		skb->csum_offset = offsetof(struct tcphdr, check);
	} else {
		struct udphdr *udp = skb_put_zero(skb, sizeof(*udp));

		udp->source = udp->dest = htons(9);
		udp->len = htons(length);
		udp->check = sum;
		skb->csum_offset = offsetof(struct udphdr, check);
	}
}

static void add_payload(struct sk_buff *skb, unsigned int length)
{
	unsigned int i;

	for (i = 0; length; i++) {
		unsigned int piece = min_t(unsigned int, length, PAGE_SIZE);

		get_page(pages[i]);
		skb_fill_page_desc(skb, i, pages[i], 0, piece);
		skb->len += piece;
		skb->data_len += piece;
		skb->truesize += PAGE_SIZE;
		length -= piece;
	}
}

/* datagram: linear, as UDP's are; segment: headers and a fragment, as TCP's are; frame: as much as TCP passes on at once. */
static struct sk_buff *make_packet(void)
{
	bool datagram = !strcmp(what, "datagram"), frame = !strcmp(what, "frame");
	unsigned int linear = ETH_HLEN + (datagram ? ETH_DATA_LEN : sizeof(struct iphdr) + sizeof(struct tcphdr));
	unsigned int payload = frame ? SEGMENT * FRAME_SEGMENTS :
				       ETH_DATA_LEN - sizeof(struct iphdr) -
					       (datagram ? sizeof(struct udphdr) : sizeof(struct tcphdr));
	struct sk_buff *skb = alloc_skb(HEADROOM + linear, GFP_KERNEL);

	if (!skb)
		return NULL;
	skb_reserve(skb, HEADROOM);
	skb->dev = device;
	put_headers(skb, datagram ? IPPROTO_UDP : IPPROTO_TCP, payload);
	if (datagram)
		skb_put_zero(skb, payload);
	else
		add_payload(skb, payload);
	if (frame) {
		skb_shinfo(skb)->gso_size = SEGMENT;
		skb_shinfo(skb)->gso_segs = FRAME_SEGMENTS;
		skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
	}
	skb->destructor = on_free;
	return skb;
}

/* ---- Rounds ---- */

static bool is_done(unsigned int goal)
{
	return (int)(READ_ONCE(handled) - goal) >= 0;
}

/*
 * What the ticks in a round cost is not the packets'. A tick that comes late adds
 * more than one to jiffies, so the changes are counted, after each interrupt that
 * was waited for.
 */
static void leave_out_tick(unsigned long *last)
{
	if (*last == READ_ONCE(jiffies))
		return;
	*last = READ_ONCE(jiffies);
	COUNTER_TICK;
}

/* With interrupts on: until so many are handled. `last`: the tick that was left out last. */
static void wait_for(unsigned int goal, unsigned long *last)
{
	unsigned long end = jiffies + PATIENCE;

	while (!is_done(goal) && time_before(jiffies, end)) {
		local_irq_disable();
		if (!is_done(goal) && !need_resched())
			safe_halt();
		else
			local_irq_enable();
		leave_out_tick(last);
		cond_resched();
	}
	if (!is_done(goal) && !broken) {
		/* What is in flight calls on_free() some day. */
		__module_get(THIS_MODULE);
		missed++;
		broken = true;
	}
}

/* Of this function and those below: interrupts are off before and after it. */
static void wait_for_tick(void)
{
	unsigned long now = jiffies;

	while (now == READ_ONCE(jiffies)) {
		safe_halt();
		local_irq_disable();
	}
}

static void prepare(void)
{
	unsigned int i;

	local_irq_enable();
	for (i = 0; i < burst && !broken; i++) {
		packets[i] = make_packet();
		broken = !packets[i];
	}
	if (broken) {
		missed++;
		while (i--)
			kfree_skb(packets[i]);
	}
	handled = 0;
	/* The backend is done with the last burst, and asks to be told of the next. */
	usleep_range(1000, 2000);
	local_irq_disable();
}

static struct netdev_queue *the_queue(void)
{
	return netdev_get_tx_queue(device, 0);
}

static void lock(void)
{
	local_bh_disable();
	HARD_TX_LOCK(device, the_queue(), smp_processor_id());
}

static void unlock(void)
{
	HARD_TX_UNLOCK(device, the_queue());
	local_bh_enable();
}

static void submit(void)
{
	struct netdev_queue *queue = the_queue();
	unsigned int i;

	for (i = 0; i < burst && !broken; i++) {
		if (likely(netdev_start_xmit(packets[i], device, queue, i + 1 < burst) == NETDEV_TX_OK))
			continue;
		missed++;
		kfree_skb(packets[i]);
	}
}

static void before_submit(void)
{
	prepare();
	local_irq_enable();
	lock();
	local_irq_disable();
}

static void after_submit(void)
{
	unsigned long last = jiffies;

	local_irq_enable();
	unlock();
	if (!broken)
		wait_for(burst, &last);
	local_irq_disable();
}

static void transmit(void)
{
	unsigned long last = jiffies;

	local_irq_enable();
	if (!broken) {
		lock();
		submit();
		unlock();
		wait_for(burst, &last);
	}
	local_irq_disable();
	leave_out_tick(&last);
}

static rx_handler_result_t on_packet(struct sk_buff **pskb)
{
	__be32 words[2];
	const __be32 *data;
	struct sk_buff *skb = *pskb;

	data = skb_header_pointer(skb, sizeof(struct iphdr) + sizeof(struct udphdr), sizeof(words), words);
	if (skb->protocol != htons(ETH_P_IP) || !data || data[0] != htonl(MAGIC))
		return RX_HANDLER_PASS;
	WRITE_ONCE(received, received + 1);
	if (ntohl(data[1]) == burst - 1)
		WRITE_ONCE(handled, handled + 1);
	consume_skb(skb);
	return RX_HANDLER_CONSUMED;
}

/* Most of the time to the next burst. */
static void before_receive(void)
{
	local_irq_enable();
	if (!broken)
		usleep_range(pause_us, pause_us + 100);
	local_irq_disable();
	received = 0;
}

static void receive(void)
{
	unsigned long last = jiffies;

	local_irq_enable();
	if (!broken)
		wait_for(handled + 1, &last);
	local_irq_disable();
	leave_out_tick(&last);
}

/* A round whose burst was not complete, or not alone, does not count. */
static void after_receive(void)
{
	if (received == burst)
		return;
	incomplete++;
	COUNTER_VOID;
}

/* ---- Measures ---- */

static void measure_receiving(void)
{
	int error;

	rtnl_lock();
	error = netdev_rx_handler_register(device, on_packet, NULL);
	rtnl_unlock();
	if (error) {
		missed++;
		return;
	}
	MEASURE("receive", before_receive(), receive(), after_receive());
	rtnl_lock();
	netdev_rx_handler_unregister(device);
	rtnl_unlock();
	if (incomplete > ROUNDS / 2)
		missed += incomplete;
}

static void bench_measures(void)
{
	unsigned int i;

	COUNTER_IS_TICK;
	MEASURE("tick", wait_for_tick(), wait_for_tick(), );
	device = dev_get_by_name(&init_net, interface);
	if (!device || !burst || burst > MAX_BURST || num_online_cpus() > 1) {
		missed++;
	} else if (!strcmp(what, "receive")) {
		measure_receiving();
	} else {
		for (i = 0; i < FRAME_PAGES; i++) {
			pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
			broken |= !pages[i];
		}
		broken |= !mac_pton(to, destination);
		missed += broken;
		MEASURE("submit", before_submit(), submit(), after_submit());
		MEASURE("transmit", prepare(), transmit(), );
		for (i = 0; i < FRAME_PAGES; i++)
			if (pages[i])
				put_page(pages[i]);
	}
	dev_put(device);
}

MODULE_DESCRIPTION("Benchmark: packets");
MODULE_LICENSE("GPL");
