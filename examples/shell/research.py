"""research.py run [--tags TAG...] -- TOPIC"""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["run"])
parser.add_argument("topic")
parser.add_argument("--tags", nargs="*", default=[])
given = parser.parse_args()
print(f"{given.topic}: {', '.join(given.tags) or 'no tags'}")
