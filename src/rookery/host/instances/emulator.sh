# Becomes the emulator of an instance, whose command line it is given. Given by the agent: INSTANCE_PID_FILE; on stdin the lock
# that the emulator holds as long as it lives, without reading from it; on stdout a pipe that waits for "ready".
set -eu

read -r stat < /proc/self/stat
pid=${stat%% *}
start_of() { shift 19; echo "$1"; }
start=$(start_of ${stat##*) })
echo "$pid $start" > "$INSTANCE_PID_FILE"
unset INSTANCE_PID_FILE
# The agent may have died meanwhile; that is no reason for the instance to die.
(trap '' PIPE; echo ready 2>/dev/null) || :
exec "$@" >&2
