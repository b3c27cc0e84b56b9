"""A telephony provider to try things with: its own process, its own HTTP API, its own record of what happened.

It rings nobody and sends no text. Who is called, or written to, answers as the behaviour says: yes, no, busy, silence,
hang-up, or a visitor with the phone page open. Its record (one JSON object a line) is a witness the program under test
cannot influence.
"""
