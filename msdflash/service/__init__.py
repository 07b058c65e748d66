"""msdflash without anybody logged in: what is installed for systemd, launchd and Windows' Task Scheduler, and how it is undone."""
