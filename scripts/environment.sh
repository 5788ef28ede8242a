# Sourced by demo.sh and test.sh: makes .venv where it is missing, and installs what is pinned.
# PYTHON=/path/to/python picks the interpreter; else the first supported one on the PATH is taken,
# those of TensorFlow 2.15 (3.9 to 3.11) before newer ones. VENV=DIR names another environment.

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# find_python CANDIDATE...: print the path of the first that is a supported interpreter.
find_python() {
    local candidate
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null && is_supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

pick_python() {
    local found
    find_python ${PYTHON:-python3.11 python3.10 python3.9 python3.12 python3.13 python3 python} && return
    found=$("${PYTHON:-python3}" --version 2>&1 | head -n 1 || true)
    echo "melanoma_tf needs Python 3.9, 3.10, 3.11, 3.12 or 3.13; found: ${found:-none}" >&2
    return 1
}

# prepare_environment EXTRAS: "" for the package alone, "[dev]" for the checks as well.
prepare_environment() {
    local extras=$1 python stamp venv=${VENV:-.venv}
    if [ -x "$venv/bin/python" ] && ! is_supported "$venv/bin/python"; then
        echo "$venv holds $("$venv/bin/python" --version 2>&1); expected Python 3.9 to 3.13: remove $venv" >&2
        return 1
    fi
    if [ ! -x "$venv/bin/python" ] || [ -n "${PYTHON:-}" ]; then
        python=$(pick_python) || return 1
        [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    fi
    stamp=$venv/installed$extras-$(cat setup.cfg pyproject.toml scripts/constraints*.txt | cksum | cut -d' ' -f1)
    if [ ! -e "$stamp" ] && [ ! -e "${stamp/"$extras"-/[dev]-}" ]; then
        echo "installing into $venv with $("$venv/bin/python" --version) (about 3 GB, once)"
        "$venv/bin/python" -m pip install --quiet --constraint scripts/constraints.txt --editable ".$extras"
        "$venv/bin/python" -m pip check
        touch "$stamp"
    fi
}
