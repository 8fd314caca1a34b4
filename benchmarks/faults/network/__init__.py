"""The network of a case: a proxy with a schedule of faults, and a server with a script of answers."""
