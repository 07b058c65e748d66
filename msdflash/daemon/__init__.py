"""The daemon: boards, their drives, and one lane of work for each."""
