"""`cardwatch demo`: the whole of it on one machine, in processes of their own."""
