"""The parent process: starts, restarts, reloads and drains every other one."""
