"""New and cheaper cars for the buyers of saved searches: matched, ranked, gathered, and sent as webhooks or e-mail.

Which buyer gets what, and when, is decided here; how a webhook is delivered is not.
"""
