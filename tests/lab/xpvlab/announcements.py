# SPDX-License-Identifier: GPL-2.0-only
"""What a machine says of itself on a network, in a pcap file."""

import struct

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86dd
IGMP, HOP_BY_HOP, ICMPV6 = 2, 0, 58
MEMBERSHIP_REPORTS = (0x16, 0x22)       # IGMPv2, IGMPv3
ADVERTISEMENT, LISTENER_REPORT = 136, 143
EVERYBODY = bytes.fromhex("ff02" + "00" * 13 + "01")


def records(pcap):
    """(seconds, frame) of each."""
    at = 24
    while at + 16 <= len(pcap):
        seconds, micros, length, _ = struct.unpack_from("<IIII", pcap, at)
        yield seconds + micros / 1e6, pcap[at + 16:at + 16 + length]
        at += 16 + length


def _kind(frame):
    protocol = int.from_bytes(frame[12:14], "big")
    packet = frame[14:]
    if protocol == ARP:
        return "gratuitous ARP" if packet[14:18] == packet[24:28] != bytes(4) else None
    if protocol == IPV4 and packet[9] == IGMP:
        return "IGMP report" if packet[(packet[0] & 15) * 4] in MEMBERSHIP_REPORTS else None
    if protocol == IPV6:
        following, message = packet[6], packet[40:]
        if following == HOP_BY_HOP:
            following, message = message[0], message[8 * (message[1] + 1):]
        if following == ICMPV6 and message[0] == ADVERTISEMENT and packet[24:40] == EVERYBODY:
            return "neighbour advertisement"
        if following == ICMPV6 and message[0] == LISTENER_REPORT:
            return "MLD report"
    return None


def announcements(pcap, mac):
    """{kind: [seconds]} of those that this address has sent."""
    sender = bytes.fromhex(mac.replace(":", ""))
    found = {}
    for seconds, frame in records(pcap):
        if frame[6:12] == sender and (kind := _kind(frame)):
            found.setdefault(kind, []).append(seconds)
    return found
