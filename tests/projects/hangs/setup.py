# ruff: noqa - a package as strangers write them
"""Leaves children in sessions of their own, deaf to SIGTERM, and never ends."""
import os
import signal
import subprocess
import sys
import time

child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(86400)"
for _ in range(3):
    subprocess.Popen([sys.executable, "-c", child, "farm-hangs-marker", os.environ.get("FARM_MARK", "")], start_new_session=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("HANGING NOW", flush=True)
time.sleep(86400)
