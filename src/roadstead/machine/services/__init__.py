"""What `roadstead start` does for the services that need no root, and for the person who called.

`ports` looks who has the port before anything is made, `engines` gives the services the engines that are on this
machine, `profiles` writes the caller's AWS profile, `first` starts Roadstead when the first command of all asks a
service that does not run, `foreseen` refuses before that what would be refused after it, `kubectl` is for who has
none, `names` reads what serve calls clusters at the agent and finds hosts by what people call them. Called by `start`,
`engine`, `load`, `logs`, `shell`, `status` and `main`; it never decides what a service does.
"""
