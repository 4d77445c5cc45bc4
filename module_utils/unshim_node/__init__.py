"""What runs on a node: small shells around files, units, packages and runtimes. Python 3.6+, standard library only."""
