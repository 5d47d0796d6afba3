"""The database engine of the site: PostgreSQL with metrics, whose connections do not wait for a server that is away."""
