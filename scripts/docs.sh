#!/usr/bin/env bash
# Builds the documentation into build/site, strictly: a dead link or anchor is an error, and so is
# a style sheet, a script or a font from elsewhere. Open build/site/index.html. Arguments: `serve`
# shows the pages while they are written.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
venv=.venv-docs
stamp=$venv/installed-$(cksum <scripts/docs.txt | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
    rm -rf "$venv"
    python=$(find_python ${PYTHON:-python3.13 python3.12 python3.11 python3.10}) || {
        echo "scripts/docs.sh expected Python 3.10 to 3.13" >&2
        exit 1
    }
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --requirement scripts/docs.txt
    touch "$stamp"
fi
export NO_MKDOCS_2_WARNING=1
if [ "${1:-}" = serve ]; then
    exec "$venv/bin/mkdocs" serve --config-file .mkdocs.yml
fi
"$venv/bin/mkdocs" build --strict --config-file .mkdocs.yml
if grep -rnoE '<(link|script|img)[^>]+(href|src)="?https?://[^" >]+' build/site --include='*.html'; then
    echo "expected no style sheet, script or image from elsewhere" >&2
    exit 1
fi
echo "built build/site/index.html"
