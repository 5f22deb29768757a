"""Desired state -> plan -> brakes -> apply -> journal: one engine, which knows no kind of object."""
