#!/bin/sh
# Run by udhcpc, inside the instance, when its lease comes, is renewed or ends: the guest's own part of DHCP.
# $1 says which; udhcpc gives what the server said in the environment.
#
# An address is its interface's for life: a lease that ended because no server answered takes nothing away.
set -eu

interface=${interface:?} # udhcpc's
case $1 in
    bound | renew) ;;
    *) exit 0 ;;
esac

ip address replace "$ip/$mask" broadcast "${broadcast:-+}" dev "$interface"
[ "$interface" = eth0 ] || exit 0
[ -z "${router:-}" ] || ip route replace default via "${router%% *}" dev "$interface"

# In place: the machine's own /etc/resolv.conf is covered by this one.
{
    echo "# by DHCP on $interface"
    [ -z "${domain:-}" ] || echo "search $domain"
    for server in ${dns:-}; do
        echo "nameserver $server"
    done
} > /etc/resolv.conf
