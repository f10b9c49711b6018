"""Print the most frequent words of a text file."""

import argparse
import collections
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--top", type=int, default=3)
parser.add_argument("file", type=pathlib.Path)
args = parser.parse_args()

words = collections.Counter(args.file.read_text().lower().split())
for word, count in words.most_common(args.top):
    print(f"{count:3} {word}")
