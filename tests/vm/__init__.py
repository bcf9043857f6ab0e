"""The machine that most people have, in a window of its own: Debian with systemd and cgroup v2, under user-mode Linux.

What for: to show, from README's words on, that Roadstead lives there: started, restarted, upgraded, powered off, taken
back. User-mode Linux is a kernel that runs as a process of a user: it needs no virtualisation of the processor. The
kernel and the disks are made once, from Debian's packages, and kept in the cache; a run has copies of its own, no
network but loopback, and ends with the process that began it.

    python -m tests.vm [--debian 12] [--debian 13] [--short] [--write]

    cabinet    what takes minutes to make, once           debian     packages from where this machine has its own
    kernel     user-mode Linux, from kernel.config        root       Debian's disk, by root.sh
    home       the disk with what a run brings            machine    a virtual machine: boot, commands, power cut
    short, long    what is shown                          results    lines of a run, and the table in the docs
    guest/     what runs in it
"""
