// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/multicast.hh"

namespace xpv {

namespace {

/* Holds the transmit lock of a queue. */
class [[nodiscard]] TransmitGuard {
public:
	TransmitGuard(xpv_netdev *netdev, unsigned int index) : netdev_(netdev), index_(index)
	{
		xpv_netdev_lock_transmit(netdev_, index_);
	}
	~TransmitGuard() { xpv_netdev_unlock_transmit(netdev_, index_); }
	TransmitGuard(const TransmitGuard &) = delete;
	TransmitGuard &operator=(const TransmitGuard &) = delete;

private:
	xpv_netdev *const netdev_;
	const unsigned int index_;
};

} // namespace

bool MulticastFilter::contains(const xpv_net_address *addresses, unsigned int count, const xpv_net_address &one)
{
	for (unsigned int i = 0; i < count; i++)
		if (__builtin_memcmp(addresses[i].octets, one.octets, sizeof(one.octets)) == 0)
			return true;
	return false;
}

Status MulticastFilter::update(xpv_netdev *netdev, xpv_net_queue &queue)
{
	xpv_net_address wanted[XPV_NET_FILTER_MAX];
	int found = xpv_netdev_multicast(netdev, wanted, XPV_NET_FILTER_MAX);
	XPV_TRY(status(found));
	auto count = static_cast<unsigned int>(found);
	/* First those that go, so that there is room. */
	for (unsigned int i = 0; i < count_;) {
		if (contains(wanted, count, addresses_[i])) {
			i++;
			continue;
		}
		TransmitGuard guard(netdev, queue.index());
		XPV_TRY(queue.filter(false, addresses_[i]));
		addresses_[i] = addresses_[--count_];
	}
	for (unsigned int i = 0; i < count; i++) {
		if (contains(addresses_, count_, wanted[i]))
			continue;
		TransmitGuard guard(netdev, queue.index());
		XPV_TRY(queue.filter(true, wanted[i]));
		addresses_[count_++] = wanted[i];
	}
	return {};
}

} // namespace xpv
