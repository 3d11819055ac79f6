#!/bin/bash
# The installed Debian package, looked at from outside; `./dev package` installs and purges it around this.
#
# package.sh NAME [ARGUMENT]: one check; what is wrong on standard output, status 1.
set -euo pipefail

files=/usr/share/oscar-metrics/nginx

wrong() {
    echo "$*"
    exit 1
}

# version VERSION: the program says it, and the files are those of the package.
version() {
    [ "$(oscar-metrics --version)" = "oscar-metrics $1" ] || wrong "not $1: $(oscar-metrics --version)"
    oscar-metrics-compare --help >/dev/null
    dpkg --verify oscar-metrics
    man -w oscar-metrics oscar-metrics-compare
}

# Links from page to page lead somewhere; larger pages are compressed.
pages() {
    local page target folder=/usr/share/doc/oscar-metrics
    for page in README operations limits testing; do
        compgen -G "$folder/$page.md*" >/dev/null || wrong "no $page.md"
    done
    for page in "$folder"/*.md*; do
        { zgrep -o '](\([^)#]*\)' "$page" || true; } | cut -c3- | while read -r target; do
            case $target in "" | http:* | https:*) continue ;; esac
            [[ $target == /* ]] || target=$folder/$target
            [ -e "$target" ] || [ -e "$target.gz" ] || wrong "$page: no $target"
        done
    done
}

# Nothing names a place that the package does not have.
paths() {
    local file found
    for file in /lib/systemd/system/oscar-metrics.{service,socket} "$files"/oscar-metrics{,-upstream}.conf \
        /etc/oscar-metrics/settings /usr/share/doc/oscar-metrics/README.Debian; do
        [ -e "$file" ] || wrong "no $file"
    done
    found=$(dpkg -L oscar-metrics | xargs -d '\n' zgrep -ls /usr/local 2>/dev/null || true)
    [ -z "$found" ] || wrong "names /usr/local: $found"
    pages
    grep -q '^ExecStart=/usr/bin/oscar-metrics$' /lib/systemd/system/oscar-metrics.service ||
        wrong "the unit starts something else"
    grep -q "unix:$(sed -n 's/^ListenStream=//p' /lib/systemd/system/oscar-metrics.socket)[ ;]" \
        "$files"/oscar-metrics-upstream.conf ||
        wrong "nginx looks for another socket than systemd's"
}

# Only the admin starts it: there is no password yet.
off() {
    local found
    found=$(find /etc/systemd/system -name 'oscar-metrics*')
    [ -z "$found" ] || wrong "enabled: $found"
    [ ! -e /etc/oscar-metrics/password ] || wrong "a password that nobody made"
}

# An upgrade starts the service anew if it runs, and leaves the socket alone, where connections wait meanwhile; a removal
# stops both. What the scripts do is seen with a systemd that only writes down what it is told; where systemd runs, too.
scripts() {
    local run script
    run=$(mktemp -d)
    for script in preinst postinst prerm postrm; do
        if [ -e "/var/lib/dpkg/info/oscar-metrics.$script" ]; then
            sed 's,/run/systemd/system,/,' "/var/lib/dpkg/info/oscar-metrics.$script" >"$run/$script"
        else
            echo '#!/bin/sh' >"$run/$script"
        fi
        chmod 755 "$run/$script"
    done
    for script in deb-systemd-invoke deb-systemd-helper systemctl; do
        printf '#!/bin/sh\necho "%s $*" >>"%s/said"\n' "$script" "$run" >"$run/$script"
        chmod 755 "$run/$script"
    done
    told upgrade "$run" "prerm upgrade 2" "preinst upgrade 1 2" "postrm upgrade 2" "postinst configure 1" <<'END'
try-restart oscar-metrics.service
END
    told removal "$run" "prerm remove" "postrm remove" <<'END'
stop oscar-metrics.service oscar-metrics.socket
END
    told installation "$run" "preinst install" "postinst configure" </dev/null
    rm -rf "$run"
}

# told WHAT FOLDER CALL...: by these calls of scripts units are told what stands on standard input, and nothing else.
told() {
    local what=$1 run=$2 call said
    shift 2
    : >"$run/said"
    for call in "$@"; do
        # shellcheck disable=SC2086 # a script and its arguments
        (cd "$run" && set -- $call && script=$1 && shift &&
            DPKG_MAINTSCRIPT_PACKAGE=oscar-metrics DPKG_MAINTSCRIPT_NAME=$script PATH=$run:$PATH "./$script" "$@" </dev/null) ||
            wrong "$what: $call failed"
    done
    said=$(sed -n 's/^deb-systemd-invoke //p; s/^systemctl \(.*oscar-metrics.*\)/\1/p' "$run/said")
    [ "$said" = "$(cat)" ] || wrong "$what: $said"
}

units() {
    local said
    scripts
    said=$(systemd-analyze verify --man=yes oscar-metrics.socket oscar-metrics.service 2>&1) || wrong "$said"
    [[ $said != *oscar-metrics* ]] || wrong "$said"
    systemd-analyze security --offline=true --threshold=19 /lib/systemd/system/oscar-metrics.service
}

# What the unit would start with, as soon as there is a password.
settings() {
    local password said help name
    password=$(mktemp)
    echo secret >"$password"
    said=$(env -i "$(grep '^OSCAR_USERNAME=' /etc/oscar-metrics/settings)" OSCAR_PASSWORD_FILE="$password" \
        oscar-metrics --check-config 2>&1) || wrong "$said"
    rm -f "$password"
    # Commented examples: settings that there are.
    help=$(oscar-metrics --help)
    sed -n 's/^#\?\([A-Z_]*\)=.*/\1/p' /etc/oscar-metrics/settings | while read -r name; do
        grep -q "^ *$name\b" <<<"$help" || wrong "no such setting: $name"
    done
}

# A request through nginx with the package's files, all else in a folder of its own.
answer() {
    local run user="" pids=() tries status
    run=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder as it is now
    trap "kill \$(jobs -p) 2>/dev/null || true; wait; rm -rf '$run'" EXIT
    [ "$(id -u)" != 0 ] || user="user root;"
    cp "$files"/oscar-metrics* "$run/"
    sed -i "s,unix:/run/oscar-metrics/oscar-metrics.sock,unix:$run/app.sock," "$run/oscar-metrics-upstream.conf"
    cat >"$run/nginx.conf" <<NGINX
daemon off;
$user
pid $run/nginx.pid;
events {
}
http {
    access_log off;
    client_body_temp_path $run/body;
    fastcgi_temp_path $run/fastcgi;
    proxy_temp_path $run/proxy;
    uwsgi_temp_path $run/uwsgi;
    scgi_temp_path $run/scgi;
    include oscar-metrics-upstream.conf;
    server {
        listen unix:$run/web.sock;
        include oscar-metrics.conf;
        include oscar-metrics-operator.conf;
    }
}
NGINX
    mkdir "$run/services"
    env -i OSCAR_USERNAME=oscar OSCAR_PASSWORD=secret PROMETHEUS_URL=none OSCAR_METRICS_SERVICES_DIR="$run/services" \
        spawn-fcgi -n -s "$run/app.sock" -M 0600 -- /usr/bin/oscar-metrics >"$run/log" 2>&1 &
    pids+=($!)
    nginx -p "$run" -e stderr -c "$run/nginx.conf" >>"$run/log" 2>&1 &
    pids+=($!)
    for ((tries = 0; tries < 600; tries++)); do
        if curl -sf --unix-socket "$run/web.sock" http://localhost/-/healthy >/dev/null; then break; fi
        kill -0 "${pids[@]}" 2>/dev/null || wrong "$(cat "$run/log")"
        sleep 0.05
    done
    for status in 200:secret 401:wrong; do
        [ "$(curl -s -o "$run/answer" -w '%{http_code}' --unix-socket "$run/web.sock" -u "oscar:${status#*:}" \
            http://localhost/system/metrics)" = "${status%:*}" ] || wrong "not $status: $(cat "$run/answer" "$run/log")"
    done
}

# gone LIST: after the purge, of the files in LIST and of what was made meanwhile nothing is there.
gone() {
    local file
    while read -r file; do
        if [ -f "$file" ] || [[ $file == *oscar-metrics* && -e $file ]]; then wrong "still there: $file"; fi
    done <"$1"
    [ ! -e /etc/oscar-metrics ] || wrong "still there: /etc/oscar-metrics"
    # shellcheck disable=SC2016 # dpkg-query's own variable
    ! dpkg-query -W -f='${Status}\n' oscar-metrics 2>/dev/null | grep -vq not-installed || wrong "dpkg knows it still"
}

"$@"
