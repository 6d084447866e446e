# What the scripts share. They source this file, read their options, and call `play`.
# Exit codes: 0, 1 for what went wrong, 2 for a command line that can't be understood.
# shellcheck shell=bash disable=SC2034 # the scripts use what this file sets
set -euo pipefail

script=$(basename "$0")
lib=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
python=/usr/bin/python3 # the system's: it has GStreamer's bindings

print='' json='' rest=() extra=()
# What stands between a source and its results, and how these leave the pipeline.
elements=(facecrop '!' hrnetinfer '!' ppg2bpm)
lines=('!' queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 '!' fdsink fd=3)
# What plays a launch line.
player=(gst-launch-1.0 -q -e)
# Reads the lines of JSON; unset: they are printed, for people or with --json as they are.
reader=()

die() {
    echo "$script: $*" >&2
    exit 1
}

wrong() {
    echo "$script: $* (see $script --help)" >&2
    exit 2
}

# The comment at the head of a script is its help.
help() {
    sed -n '2,/^$/ s/^# \{0,1\}//p' "$0"
    exit 0
}

# Takes from the command line what all scripts understand: sets `taken` to the number of words.
# Sources and the like are added to `rest`, what stands behind -- to `extra`.
shared_option() {
    taken=1
    case $1 in
    -h | --help) help ;;
    --print) print=yes ;;
    --json) json=yes ;;
    --) extra=("${@:2}") taken=$# ;;
    -?*) wrong "unknown option $1" ;;
    *) rest+=("$1") ;;
    esac
}

# Asserts that an option has a value; `$@` begins with the option.
has_value() {
    [ $# -ge 2 ] || wrong "$1 needs a value"
}

is_number() {
    [[ $2 =~ ^[0-9]+$ ]] || wrong "$1 is a whole number, not '$2'"
}

# A value as a launch line has it, whatever is in it.
quote() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# Sets `source` to the words of a launch line that plays $1: a file, a URI, a camera's device, or
# a launch line that begins with an element whose name ends in src.
set_source() {
    local show=(videoflip video-direction=auto '!' videoconvert) video=("caps=video/x-raw(ANY)" expose-all-streams=false)
    local live=('!' queue leaky=downstream max-size-buffers=60 max-size-bytes=0 max-size-time=0 '!')
    if [[ $1 == /dev/* ]]; then
        [ -e "$1" ] || die "no camera: $1 does not exist"
        [ -r "$1" ] || die "no camera: $1 can't be read (is the user in the group video?)"
        source=(v4l2src "device=$(quote "$1")" '!' decodebin "${live[@]}" "${show[@]}")
    elif [[ $1 =~ ^[a-z][a-z0-9+.-]*:// ]]; then
        source=(uridecodebin "uri=$(quote "$1")" "${video[@]}")
        if [[ $1 == file:* ]]; then source+=('!' queue '!'); else source+=("${live[@]}"); fi
        source+=("${show[@]}")
    elif [[ $1 =~ ^[a-z0-9]+src(\ |$) && ! -e $1 ]]; then
        read -ra source <<<"$1"
        source+=('!' videoconvert)
    else
        [ -e "$1" ] || die "no such file: $1"
        [[ -f $1 && -r $1 ]] || die "$1 is not a file that can be read"
        source=(filesrc "location=$(quote "$1")" '!' decodebin "${video[@]}" '!' queue '!' "${show[@]}")
    fi
}

# What a stream is called where nobody names it: passwords in a URI stay out of it.
stream_name() {
    if [[ $1 =~ ^([a-z][a-z0-9+.-]*://)([^/]*@)?(.*)$ ]]; then
        echo "${BASH_REMATCH[1]}${BASH_REMATCH[3]}"
    elif [[ $1 =~ ^[a-z0-9]+src(\ |$) && ! -e $1 ]]; then
        echo test
    else
        basename "$1"
    fi
}

# The Debian package that brings an element.
package_of() {
    case $1 in
    queue | tee | funnel | fdsink | fakesink | filesrc | filesink | identity) echo libgstreamer1.0-0 ;;
    decodebin | uridecodebin | video*convert | videoscale | videotestsrc | compositor | appsink)
        echo gstreamer1.0-plugins-base ;;
    v4l2src | autovideosink | videoflip | matroskamux | mp4mux | webmmux | vp8enc | rtspsrc | pngenc | multifilesink)
        echo gstreamer1.0-plugins-good ;;
    h264parse) echo gstreamer1.0-plugins-bad ;;
    x264enc) echo gstreamer1.0-plugins-ugly ;;
    av*) echo gstreamer1.0-libav ;;
    esac
}

# Makes the built plugin known where the user has not said where it is, and asserts that all
# elements are there. Elements are the words of a launch line without punctuation.
need() {
    local built word package
    built=$(realpath -m "$lib/../../target/release")
    if [ -z "${GST_PLUGIN_PATH:-}" ] && [ -e "$built/libgstheartrate.so" ]; then
        export GST_PLUGIN_PATH=$built
    fi
    command -v gst-launch-1.0 >/dev/null || die "gst-launch-1.0 is missing: apt-get install gstreamer1.0-tools"
    for word in "$@"; do
        [[ $word =~ ^[a-z][a-z0-9]*$ ]] || continue
        gst-inspect-1.0 --exists --atleast-version=0.0.0 "$word" >/dev/null 2>&1 && continue
        case $word in
        facecrop | hrnetinfer | ppg2bpm | bpm2json | bpmoverlay | pulsetestsrc)
            die "element $word is missing: cargo build --release in this project, or make install" ;;
        nv*) die "element $word is missing: it comes with NVIDIA DeepStream (docs.nvidia.com/metropolis/deepstream)" ;;
        esac
        package=$(package_of "$word")
        die "element $word is missing${package:+: apt-get install $package}"
    done
}

# Asserts that the system's Python has GStreamer's bindings.
need_python() {
    "$python" -c 'import gi; gi.require_version("Gst", "1.0")' 2>/dev/null ||
        die "GStreamer's Python bindings are missing: apt-get install python3-gi gir1.2-gstreamer-1.0"
}

# Sets `window` to a sink for the picture, on a machine without a display to one that shows nothing.
set_window() {
    window=(videoconvert '!' autovideosink)
    if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
        [ -n "$print" ] || echo "$script: no display: the readings only" >&2
        window=(fakesink sync=true)
    fi
}

# Sets `file_sink` to what writes H.264 into the file $1, by its ending. Constant quality: at low
# bit rates the encoder takes the pulse out of the skin.
set_file_sink() {
    local encode=(videoconvert '!' video/x-raw,format=I420 '!' x264enc pass=quant quantizer=18 speed-preset=veryfast)
    case $1 in
    *.mp4 | *.m4v | *.mov) encode+=('!' h264parse '!' mp4mux) ;;
    *.mkv) encode+=('!' h264parse '!' matroskamux) ;;
    *) wrong "$1 does not end in mp4, m4v, mov or mkv" ;;
    esac
    [ -d "$(dirname "$1")" ] || die "there is no folder $(dirname "$1")"
    file_sink=("${encode[@]}" '!' filesink "location=$(quote "$1.part")")
}

# Renames the file of set_file_sink after `play`, if it is whole.
keep_file() {
    if [ "$status" = 0 ] && [ -s "$1.part" ]; then mv "$1.part" "$1"; else rm -f "$1.part"; fi
}

# Prints the command that `play` would run.
print_command() {
    local word line=''
    for word in "${player[@]}" "${@/#fd=3/fd=1}"; do
        [[ $word =~ ^[][A-Za-z0-9_.,:/=%@+!-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    [ ${#reader[@]} = 0 ] || line+=" | ${reader[*]@Q}"
    echo "${line# }"
}

# GStreamer's words about warnings and the first error, one line each; other words as they are.
shorten_errors() {
    trap '' INT TERM
    local line error='' detail=''
    while IFS= read -r line; do
        line=${line:0:200} # caps may hold whole headers
        case $line in
        *'Broken pipe'*) ;; # the reader has gone, and has said why
        'ERROR: from element '*': '* | 'WARNING: from element '*': '*)
            [ "${line%%:*}" = ERROR ] || echo "$script: warning: ${line#*: *: }"
            [ "${line%%:*}" != ERROR ] || [ -n "$error" ] || error=${line#*: *: }
            ;;
        'WARNING: erroneous pipeline: '* | 'ERROR: pipeline could not be constructed: '*) error=${line#*: *: } ;;
        'Missing decoder: '*) detail="${line%% (*}; apt-get install gstreamer1.0-libav may help" ;;
        *not-linked*) detail='no video in it that can be decoded' ;;
        *'Failed to connect'* | *'Could not connect'*) detail=${line%% (*} ;;
        esac
    done
    [ -z "$error" ] || echo "$script: $error${detail:+ ($detail)}"
}

# Waits for child $1 to its end, whatever signals come; its exit code stands in `status`.
await() {
    local pid=$1
    interrupted=''
    while true; do
        status=0
        wait "$pid" || status=$?
        [ -n "$interrupted" ] || break
        interrupted=''
    done
}

# Plays a launch line to its end and sets `status`. Ctrl-C and SIGTERM end the stream, so that files
# are whole; the player is in a session of its own to get that word once, from here.
play() {
    local pid='' filter='' read stopped=''
    if [ -n "$print" ]; then
        print_command "$@"
        exit 0
    fi
    need "$@"
    if [ ${#reader[@]} = 0 ]; then
        reader=("$python" "$lib/say.py" ${json:+--json})
    fi
    trap 'interrupted=yes stopped=yes; [ -z "$pid" ] || kill -INT "$pid" 2>/dev/null || true' INT TERM
    exec 3> >("${reader[@]}")
    read=$!
    if [ -n "${GST_DEBUG:-}" ] || [ "${player[0]}" = "$python" ]; then
        exec 4>&2
    else
        exec 4> >(shorten_errors >&2)
        filter=$!
    fi
    setsid "${player[@]}" "$@" 2>&4 4>&- &
    pid=$!
    exec 3>&- 4>&-
    await "$pid"
    local played=$status
    [ -z "$filter" ] || await "$filter"
    await "$read"
    # A stop that was asked for is no failure; the reader has said what its own is.
    [ "$status" != 0 ] || [ "$played" = 0 ] || [ -n "$stopped" ] || status=1
}

# Sets `streams` to the launch line of all SOURCEs in `rest`, each with its name in `names` or one of
# its own; their lines of JSON come `every` so many seconds out of one funnel.
set_streams() {
    local i name
    [ ${#rest[@]} -gt 0 ] || wrong "no SOURCE"
    [ ${#names[@]} -le ${#rest[@]} ] || wrong "more names than sources"
    is_number --every "$every"
    [ "$every" -gt 0 ] || wrong "--every is at least 1"
    streams=(funnel name=lines "${lines[@]}")
    for i in "${!rest[@]}"; do
        name=${names[i]:-$(stream_name "${rest[i]}")}
        set_source "${rest[i]}"
        streams+=("${source[@]}" '!' "${elements[@]}" '!' bpm2json "stream-name=$(quote "$name")")
        streams+=("interval=${every}000000000" '!' lines.)
    done
}

# Reads the options of a script that hands lines to a broker's client: sets `broker`, `topic`,
# `hold`, `patience` and what set_streams needs.
publisher_options() {
    topic=heartrate hold=100000 patience=60 names=() every=1
    while [ $# -gt 0 ]; do
        case $1 in
        --broker) has_value "$@" && broker=$2 && shift 2 ;;
        --topic) has_value "$@" && topic=$2 && shift 2 ;;
        --name) has_value "$@" && names+=("$2") && shift 2 ;;
        --every) has_value "$@" && every=$2 && shift 2 ;;
        --hold) has_value "$@" && is_number "$@" && hold=$2 && shift 2 ;;
        --patience) has_value "$@" && is_number "$@" && patience=$2 && shift 2 ;;
        *) shared_option "$@" && shift "$taken" ;;
        esac
    done
}

# Plays the sources, or reads lines from the standard input where the only one is -, and hands the
# lines to a client: `publish CLIENT...`.
publish() {
    [ ${#rest[@]} -gt 0 ] || wrong "no SOURCE"
    reader=("$python" "$lib/publish.py" "$script: $broker" "$hold" "$patience" "$@")
    if [ "${rest[*]}" = - ]; then
        [ -z "$print" ] || { echo "${reader[*]@Q}" && exit 0; }
        exec "${reader[@]}"
    fi
    set_streams
    play "${streams[@]}"
}
