#!/bin/sh
# count.sh FILE...
echo "first: $1"
for file in "$@"; do
    wc -l <"$file"
done
