#!/usr/bin/env bash
# Encode a script in chunks, several at once, and join them: `examples/chunks.sh film.vpy film.mkv [FRAMES] [WORKERS]`
# of 240 frames, by two workers, if nothing else is said. ENCODE is the encoder's command; it reads y4m from stdin and its
# last argument, which is added, is the file. The same line again after an interruption makes what is missing.
set -euo pipefail

make_chunk() { # A chunk appears under its name when it is whole, so that one that was interrupted is made again.
    local name first last
    name=$(printf '%s.chunks/%08d' "$film" "$1") first=$1 last=$(($1 + length - 1))
    if [ -e "$name.mkv" ]; then return; fi
    if [ "$last" -ge "$frames" ]; then last=$((frames - 1)); fi
    # shellcheck disable=SC2086 # a command and its arguments
    vspipe "$script" -c y4m - -s "$first" -e "$last" | $ENCODE "$name.part.mkv"
    mv "$name.part.mkv" "$name.mkv"
}

script=$1 film=$2 length=${3:-240} workers=${4:-2}
if [ "${5:-}" ]; then
    make_chunk "$5" # in a process that the line with xargs started
    exit
fi
export ENCODE="${ENCODE:-ffmpeg -v error -y -f yuv4mpegpipe -i - -c:v libx264 -crf 18}"
frames=$(vspipe --info "$script" | sed -n 's/^Frames: //p')
export frames
mkdir -p "$film.chunks"
seq 0 "$length" $((frames - 1)) | xargs -P "$workers" -n 1 "$0" "$script" "$film" "$length" "$workers"
(cd "$film.chunks" && printf "file '%s'\n" [0-9]*[0-9].mkv) >"$film.chunks/list.txt"
ffmpeg -v error -y -f concat -i "$film.chunks/list.txt" -c copy "$film"
