"""One record of each job, and its faces: FAIL.TXT, DETAILS.TXT, MBED.HTM, terminal, JSON. Pure: callers read the clock and write files."""
