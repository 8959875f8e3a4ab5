"""What a message is: parse, compose, addresses. Pure: no I/O, no clock, no Django."""
