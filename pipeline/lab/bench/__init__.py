"""`cardwatch bench`: how fast this installation's scorer is on this machine, beside what else one could have written.

Every figure comes from real servers and whole programs in processes of their own. All programs of a round run one after
another, so that what disturbs the machine disturbs all of them; a ratio is taken within its round, then the median of
the rounds.
"""
