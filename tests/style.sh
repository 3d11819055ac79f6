#!/bin/bash
# The rules of style that a script can check. Prints one line per breach; status 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(find src -name '*.[ch]' | sort)

# Functions that forget lengths or hide errors.
banned_functions() {
    local names='atoi|atol|atoll|atof|strtol|strtoll|strtoul|strtoull|strtoimax|strtoumax|sscanf|strtok|strtok_r'
    names+='|strcpy|strcat|sprintf|vsprintf|gets'
    # Not for threads.
    names+='|localtime|gmtime|ctime|asctime|rand|srand|getpwnam|getgrnam|gethostbyname|inet_ntoa|tmpnam'
    grep -nE "\b($names) *\(" "${sources[@]}" | sed 's/$/   <- a banned function/' || true
}

long_files() {
    wc -l "${sources[@]}" | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines, more than 600" }'
}

long_functions() {
    awk '
        FNR == 1 { start = 0 }
        /^\{/    { start = FNR }
        /^\}/    { if (start && FNR - start - 1 > 60)
                       print FILENAME ":" start ": a function of " FNR - start - 1 " lines, more than 60"
                   start = 0 }
    ' "${sources[@]}"
}

# Includes go one way: http > report, auth > sources > net > model > util. settings.h and log.h are for all but model
# and util; caps.h is for all; main.c may include everything.
includes() {
    awk '
        BEGIN {
            may["http"] = " http report auth sources net model util top "
            may["report"] = " report sources net model util top "
            may["auth"] = " auth sources net model util top "
            may["sources"] = " sources net model util top "
            may["net"] = " net model util top "
            may["model"] = " model util "
            may["util"] = " util "
            may["top"] = " util model top "
        }
        /^#include "/ {
            if (FILENAME == "src/main.c") next
            split(FILENAME, path, "/")
            from = path[3] == "" ? "top" : path[2]
            split($2, name, "\"")
            to = index(name[2], "/") ? substr(name[2], 1, index(name[2], "/") - 1) : "top"
            if (name[2] != "config.h" && name[2] != "caps.h" && index(may[from], " " to " ") == 0)
                print FILENAME ":" FNR ": " from " must not include " name[2]
        }
    ' "${sources[@]}"
}

headers_alone() {
    local header
    for header in "${sources[@]}"; do
        [[ $header == *.h ]] || continue
        gcc -std=gnu17 -D_GNU_SOURCE -Isrc -fsyntax-only -x c "$header" 2>/dev/null ||
            echo "$header: does not compile alone"
    done
}

breaches=$(banned_functions && long_files && long_functions && includes && headers_alone)
[ -z "$breaches" ] || { echo "$breaches" && exit 1; }
