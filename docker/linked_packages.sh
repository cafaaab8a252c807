#!/bin/bash
# Prints the names of the distribution's packages that own the given libraries, and those which everything in the
# given folders is linked against; R's windows (Tk) are left out. Fails where a library is nowhere.
set -euo pipefail
linked=$(find "$@" -name tcltk -prune -o \
  -type f \( -name '*.so' -o -name '*.so.*' -o -path '*/bin/exec/*' \) -exec ldd {} + 2> /dev/null || true)

# What one of the folders brings itself is found by R, which knows where to look.
for library in $(awk '/not found/ { print $1 }' <<< "$linked" | sort -u); do
  if [ -z "$(find "$@" -name "$library" -print -quit)" ]; then
    echo "a library is missing: $library" >&2
    exit 1
  fi
done

{
  awk '$2 == "=>" && $3 ~ "^/(usr/)?lib/" { print $3 }' <<< "$linked"
  printf '%s\n' "$@" | { grep '[.]so' || true; }
} | xargs realpath | sed 's|.*/|*/|' | sort -u | xargs dpkg-query --search | grep -v '^diversion' | cut -d: -f1 | sort -u
