"""Builds a port with the commands of its port.toml: build_port.py PORT INCLUDE BUILD, all folders.

fuzz.sh uses it. It needs only Python, and rebuilds each time.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

port, include, build = sys.argv[1:]
manifest = tomllib.loads((Path(port) / "port.toml").read_text(encoding="utf-8"))
for command in manifest["build"]["commands"]:
    words = [word.replace("{include}", include).replace("{build}", build) for word in command]
    subprocess.run(words, cwd=port, check=True)
