# Sourced by demo.sh and test.sh: makes .venv where it is missing, and installs what is pinned.
# PYTHON=/path/to/python picks the interpreter; else the first supported one on the PATH is taken.

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.10 python3.9 python3 python}; do
        if command -v "$candidate" >/dev/null && is_supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    local found
    found=$("${PYTHON:-python3}" --version 2>&1 || true)
    echo "melanoma_tf needs Python 3.9, 3.10 or 3.11 (TensorFlow 2.15 has no other); found: ${found:-none}" >&2
    return 1
}

# prepare_environment EXTRAS: "" for the package alone, "[dev]" for the checks as well.
prepare_environment() {
    local extras=$1 python stamp
    if [ -x .venv/bin/python ] && ! is_supported .venv/bin/python; then
        echo ".venv holds $(.venv/bin/python --version 2>&1); expected Python 3.9, 3.10 or 3.11: remove .venv" >&2
        return 1
    fi
    if [ ! -x .venv/bin/python ] || [ -n "${PYTHON:-}" ]; then
        python=$(find_python) || return 1
        [ -x .venv/bin/python ] || "$python" -m venv .venv
    fi
    stamp=.venv/installed$extras-$(cat setup.cfg pyproject.toml scripts/constraints.txt | cksum | cut -d' ' -f1)
    if [ ! -e "$stamp" ] && [ ! -e "${stamp/"$extras"-/[dev]-}" ]; then
        echo "installing into .venv (about 3 GB, once)"
        .venv/bin/python -m pip install --quiet --constraint scripts/constraints.txt --editable ".$extras"
        .venv/bin/python -m pip check
        touch "$stamp"
    fi
}
