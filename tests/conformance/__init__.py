"""Upstream Kubernetes' own conformance suite, against a cluster of Roadstead's.

What for: to show by others' tests that what runs is Kubernetes. The suite and all that its pods run are built here,
from the Kubernetes modules and from Debian's packages: nothing is pulled. A run has a Roadstead of its own, as live
tests have, with a cluster made by the AWS API; it takes an hour, says what it does, can be cut off at any time
and gone on with, and leaves nothing but its results.

    python -m tests.conformance --version 1.37 [--only node] [--focus REGEX] [--nodes 2] [--resume] [--write]

    programs    e2e.test and the programs of its images, by Go      debs      trees of Debian's packages
    busybox     the shell of its images, by the C compiler
    contents    what is in each image                               images    an archive of them; a registry of some
    cases       which there are, and what e2e.test says of them     running   batches, side by side and alone
    record      what is known of each case, kept after each batch   cluster   the Roadstead and the cluster of a run
    causes      why cases do not pass: causes.toml                  page      tables for the terminal and the docs
"""
