"""What is decided: pure functions and tables. No clock, no input or output, nothing asynchronous."""
