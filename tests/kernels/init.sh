#!/bin/busybox sh
# PID 1 of the tests' machine. Runs /command in the checkout, on a copy-on-write view of the file system it was started
# from; /modules lists the modules to load. Output goes to the second serial line, the exit code to the third.
/bin/busybox mkdir -p /bin /dev /proc /sys /below /writes /root
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
while read -r module; do insmod "$module"; done < /modules

mount -t virtiofs -o ro machine /below
mount -t tmpfs none /writes
mkdir /writes/upper /writes/work
mount -t overlay -o lowerdir=/below,upperdir=/writes/upper,workdir=/writes/work none /root
mount -t proc none /root/proc
mount -t sysfs none /root/sys
mount -t bpf none /root/sys/fs/bpf
mount -t tracefs none /root/sys/kernel/tracing
mount -t devtmpfs none /root/dev
for folder in /dev/shm /run /tmp; do mkdir -p "/root$folder"; done
mount -t tmpfs none /root/dev/shm
mount -t tmpfs none /root/run
ln -sf /proc/self/fd /root/dev/fd
ip link set lo up

ulimit -n 65536 # four nodes in one process of tests have a descriptor for each map of each program; busybox begins with 1024
cp /command /root/run/command
stty -F /dev/ttyS1 -opost
chroot /root /bin/sh /run/command < /dev/null > /dev/ttyS1 2>&1
echo $? > /dev/ttyS2
poweroff -f
