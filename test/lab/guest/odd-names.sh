#!/bin/sh
# Fills the folder $1 with names and kinds of files that break careless programs. It runs once, when
# the victim's disk is made. dash's printf gives the bytes; names are made under LC_ALL=C.
set -eu
export LC_ALL=C
mkdir -p "$1"
cd "$1"
put() { printf 'content of %s\n' "$2" >"$1"; }
put 'with space' space
put ' leading and trailing ' blanks
put "$(printf 'new\nline')" newline
put "$(printf 'trailing newline\n.')" 'newline before a dot'
put 'double"quote' double
put "single'quote" single
put 'back\slash' backslash
put "$(printf 'tab\there')" tab
put "$(printf 'carriage\rreturn')" 'carriage return'
put "$(printf 'escape\033[31m')" escape
put '-rf' dash
put '*?[a]' glob
put '$(false)`false`' 'command substitution'
put '.hidden' hidden
put '...' 'three dots'
put "$(printf 'latin1-\351\340\377')" 'not UTF-8'
put "$(printf '\200\201')" 'continuation bytes only'
put "$(printf 'utf8-\303\251-\342\202\254')" UTF-8
put "$(printf '%0255d' 0)" '255 bytes'
mkdir -p "deep/$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)"
put "deep/$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)/file" deep
: >empty
mkdir 'empty folder' sub
mkfifo fifo
put setuid setuid && chmod 4755 setuid
put unreadable unreadable && chmod 000 unreadable
put owned owned && chown 1234:4321 owned
mkdir sticky && chmod 1777 sticky
put hard-1 'three names' && ln hard-1 hard-2 && ln hard-1 sub/hard-3
put sub/target target
ln -s chain-2 chain-1
ln -s sub/chain-3 chain-2
ln -s ../sub/target sub/chain-3
ln -s loop-2 loop-1
ln -s loop-1 loop-2
ln -s itself itself
ln -s /srv/odd/sub/target absolute
ln -s /srv/odd/sub absolute-folder
ln -s ../../../../../../srv/odd/sub/target 'above the root'
ln -s nowhere dangling
ln -s "$(printf 'new\nline')" 'link to newline'
ln -s "$(printf 'latin1-\351\340\377')" 'link to latin1'
ln -s "deep/$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)/file" 'long link'
