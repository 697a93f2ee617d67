#!/bin/sh
# Run inside the instance: asks for the address of the device $1, waits up to three seconds for it, and goes on asking and
# renewing in the background.
exec busybox udhcpc -i "$1" -s /run/instance/lease -t 3 -T 1 -A 5 -b -O mtu -O ntpsrv
