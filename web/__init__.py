"""What the HTTP layers of all apps share: the shape of errors, parsers, uploads, the log, the cache. Imports no app."""
