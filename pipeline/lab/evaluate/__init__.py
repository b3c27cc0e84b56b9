"""`cardwatch evaluate`: how good the scores would have been on transactions whose truth is known by now.

Read in this order: `stream` (rows in, in order of time) · `loop` (transactions, labels and ticks merged by event time)
· `bank` (the scorer and the learner, as they are) · `seen` (what is kept of each row) · `folds`, `ranking`, `cards`,
`detection`, `calibration` (pure functions on arrays) · `measures` (all figures of a fold) · `results` (over folds and
files) · `table`, `report` (for people).
"""
