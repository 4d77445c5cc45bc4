"""Commands for a shell, beside the playbooks."""
