"""ns-3 (the wheel on PyPI): TCP CUBIC over a point-to-point link with a drop-tail queue of one BDP."""

from __future__ import annotations

import time

from flow import BDP_PACKETS, DELAY_MS, PAYLOAD, RATES_MBPS, report
from ns import ns

PORT = 9


def simulate(mbps: int, seconds: float) -> tuple[float, float]:
    """CPU seconds, and packets delivered."""
    ns.Config.SetDefault(
        "ns3::TcpL4Protocol::SocketType", ns.TypeIdValue(ns.TypeId.LookupByName("ns3::TcpCubic"))
    )
    for name, value in (("SegmentSize", PAYLOAD), ("SndBufSize", 1 << 24), ("RcvBufSize", 1 << 24)):
        ns.Config.SetDefault(f"ns3::TcpSocket::{name}", ns.UintegerValue(value))
    nodes = ns.NodeContainer()
    nodes.Create(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue(f"{mbps}Mbps"))
    link.SetChannelAttribute("Delay", ns.StringValue(f"{DELAY_MS}ms"))
    link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(f"{BDP_PACKETS[mbps]}p"))
    devices = link.Install(nodes)
    ns.InternetStackHelper().Install(nodes)
    addresses = ns.Ipv4AddressHelper()
    addresses.SetBase(ns.Ipv4Address("10.1.1.0"), ns.Ipv4Mask("255.255.255.0"))
    interfaces = addresses.Assign(devices)
    ns.TrafficControlHelper().Uninstall(devices)  # the link's queue is the only one

    here = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), PORT).ConvertTo()
    there = ns.InetSocketAddress(interfaces.GetAddress(1), PORT).ConvertTo()
    sinks = ns.PacketSinkHelper("ns3::TcpSocketFactory", here).Install(nodes.Get(1))
    source = ns.BulkSendHelper("ns3::TcpSocketFactory", there)
    source.SetAttribute("MaxBytes", ns.UintegerValue(0))
    sources = source.Install(nodes.Get(0))
    for applications in (sinks, sources):
        applications.Start(ns.Seconds(0))
    ns.Simulator.Stop(ns.Seconds(seconds))
    begin = time.process_time()
    ns.Simulator.Run()
    cpu = time.process_time() - begin
    packets = sinks.Get(0).GetTotalRx() / PAYLOAD
    ns.Simulator.Destroy()
    return cpu, packets


if __name__ == "__main__":
    for rate in RATES_MBPS:
        report(simulate, rate)
