"""What `roadstead start` does for the services that need no root, and for the person who called.

Called by `start`, `engine`, `load`, `logs`, `shell`, `status` and `main`; it never decides what a service does.

    ports        who has the port, before anything is made
    engines      the engines that are on this machine, for the services
    getting      several engines at once
    registries   where nodes get images from, as an administrator writes it
    profiles     the caller's AWS profile
    kubeconfigs  the caller's kubeconfig follows when the endpoints' address changes
    first        starts Roadstead when the first command of all asks a service that does not run
    foreseen     refuses before that what would be refused after it
    kubectl      for who has none
    names        what serve calls clusters at the agent, and hosts by what people call them
"""
