"""PostgreSQL, Valkey and all processes on one machine, for `make run`; not used in containers."""
