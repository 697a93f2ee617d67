# Runs as PID 1 of an instance's own mount, uts, ipc and pid namespaces, in its network namespace, and becomes tini.
# Given by the agent: INSTANCE_STATE (folder), INSTANCE_PID_FILE, INSTANCE_HOSTNAME, INSTANCE_ASKS (devices that get their
# address by DHCP); on stdin the lock that unshare holds for
# us; on stdout a pipe that waits for "ready". Builtins where a fork can be spared: the launch waits.
set -eu
exec < /dev/null

# The old /proc still counts processes as the machine does, so this says who we are to the agent; tini keeps the number.
read -r stat < /proc/self/stat
pid=${stat%% *}
set -- ${stat##*) }
start=${20}

echo "$INSTANCE_HOSTNAME" > /proc/sys/kernel/hostname
# Open while /run is still the machine's: the instance gets its own.
exec 3> "$INSTANCE_PID_FILE"
cd /
mount --no-mtab --all --fstab "$INSTANCE_STATE/fstab"
echo "$pid $start" >&3
exec 3>&-
asks=$INSTANCE_ASKS
unset INSTANCE_STATE INSTANCE_PID_FILE INSTANCE_HOSTNAME INSTANCE_ASKS

# The instance counts as running when its first device has an address, or when three questions went unanswered: they are
# repeated for ever.
for device in $asks; do
    /run/instance/ask "$device" >&2
done

# The agent may have died meanwhile; that is no reason for the instance to die.
(trap '' PIPE; echo ready 2>/dev/null) || :
exec >&2
/run/instance/first-boot &

# As a machine that shuts down: everybody is asked first, and has five seconds; the kernel ends the rest with PID 1.
exec tini -- sh -c '
    shut_down() {
        trap "" TERM
        kill -TERM -1 2>/dev/null || true
        tries=0
        while [ $tries -lt 100 ]; do
            set -- /proc/[0-9]*
            [ $# -le 2 ] && exit 0
            sleep 0.05
            tries=$((tries + 1))
        done
        exit 0
    }
    trap shut_down TERM
    sleep infinity & wait
'
