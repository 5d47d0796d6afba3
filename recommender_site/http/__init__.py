"""What lies around the views of the whole site: middleware, OpenAPI, probes, metrics, the fast lane."""
