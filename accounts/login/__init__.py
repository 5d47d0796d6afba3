"""How people show who they are: passwords, second factors, single sign-on, and how often each may be tried."""
