# SPDX-License-Identifier: LGPL-3.0-or-later
"""The network of a fleet: addresses, this machine's link to the switch, the link of each host."""

import ipaddress
import json

from .machine import FleetError, network_locked, run

NETWORK = ipaddress.ip_network("10.97.0.0/16")  # each fleet takes one free /24 of it


def free_subnet(fleet):
    """The first three numbers of the addresses in a /24 that this machine does not use."""
    routes = json.loads(run("ip", "-json", "-4", "route", "show", "table", "all"))
    used = [network for network in (ipaddress.ip_network(route["dst"].replace("default", "0.0.0.0/0"))
                                    for route in routes) if network.subnet_of(NETWORK)]
    subnets = list(NETWORK.subnets(new_prefix=24))
    first = int(fleet.name[-4:], 16) % len(subnets)
    for subnet in subnets[first:] + subnets[:first]:
        if not any(subnet.overlaps(network) for network in used):
            return str(subnet).rpartition(".")[0]
    raise FleetError(f"this machine uses all of {NETWORK}; take down a fleet that is not needed")


def make_network_namespace(path):
    path.touch()
    run("unshare", f"--net={path}", "true")


def connect_machine(fleet):
    """Make the switch and this machine's link to it. Return the first three numbers of the fleet's addresses."""
    make_network_namespace(fleet.switch)
    with network_locked():  # two fleets must not choose one subnet
        subnet = free_subnet(fleet)
        run("ip", "-batch", "-", cwd=fleet.state, stdin=f"""
            link add {fleet.name} type veth peer name machine netns ./switch
            address add {subnet}.1/24 dev {fleet.name}
            link set {fleet.name} up""")
    run("nsenter", f"--net={fleet.switch}", "ip", "-batch", "-", stdin="""
        link add bridge type bridge
        link set bridge up
        link set machine master bridge up""")
    return subnet


def connect_host(host):
    make_network_namespace(host.network)
    run("nsenter", f"--net={host.fleet.switch}", "ip", "-batch", "-", cwd=host.fleet.state, stdin=f"""
        link add {host.name} type veth peer name eth0 netns ./{host.name}/network
        link set {host.name} master bridge up""")
