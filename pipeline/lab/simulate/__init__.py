"""A made-up bank: cardholders, their merchants, thieves, and the switch between them. Seeded, so repeatable."""
