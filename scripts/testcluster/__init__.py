"""A real Kubernetes on one machine, for tests: what `scripts/cluster` does.

Each node is a set of Linux namespaces around one process, its PID 1; all that the node has runs in
them and ends with it. `build` compiles Kubernetes once, `places` says what lies where, `machine`
boots and ends nodes, `daemons` and `control` say what runs on them, `lifecycle` is the order of it
all. Nothing here is part of burst, and burst imports none of it.
"""
