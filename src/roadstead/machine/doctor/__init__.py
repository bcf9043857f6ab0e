"""Doctor: says whether this machine can carry clusters, and mends what can be mended.

    facts          what was read, frozen
    see            reads facts; leaves nothing behind
    parse          texts of kernel and programs to facts (pure)
    probes         tries what the kernel can, in namespaces
    wanted         programs and sysctls: data
    distributions  names of packages: data
    findings, checks, kernel
                   facts to findings (pure)
    mend           plans mending as data, then does it
    report         findings as table, lines, JSON
    command        `roadstead doctor`

`start` (`command.check_before_start`) and `uninstall` (`mend.restore`) may call it. It never starts, stops or
configures anything of Roadstead, and changes the machine only in `mend`, when it was told to.
"""
