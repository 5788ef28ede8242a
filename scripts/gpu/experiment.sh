#!/usr/bin/env bash
# Tables 3 and 4 by part of the method, on one accelerator, in about five minutes:
#     scripts/gpu/experiment.sh isic2017|ham10000 PACKS RESULTS [SECONDS]
# PACKS holds isic.npz or ham.npz of pack_experiment.py and isic_gan.npz or ham_gan.npz of
# pack_gan.py. First the generative networks, beside the planted ruler (isic2017), then the arms.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=$1 packs=$2 results=$3 seconds=${4:-270}
export PYTHONPATH=$here/../.. PYTHONUNBUFFERED=1
mkdir -p "$results/gan"
cp "$here/experiment_$name.json" "$packs/"
share=$((seconds / 3))
python3 "$here/train_gan.py" "$packs/experiment_$name.json" "$results/gan" --seconds $share --graphs &
if [ "$name" = isic2017 ]; then
    packed=isic
    classes="melanoma nevus seborrheic_keratosis"
    draws="--draw melanoma=350 --draw seborrheic_keratosis=750"
    python3 "$here/experiment.py" "$packs/isic.npz" "$results/isic_ruler.npz" --arms shortcut \
        --seeds 5 --lanes 5 --seconds $((share - 10)) --max-steps 400
else
    packed=ham
    classes="actinic_keratosis basal_cell_carcinoma benign_keratosis dermatofibroma melanoma nevus"
    classes="$classes vascular_lesion"
    draws=""
    for each in $classes; do
        [ "$each" = nevus ] || draws="$draws --draw $each=400"
    done
fi
wait %1
# Words are split on purpose.
# shellcheck disable=SC2086
python3 "$here/sample_gan.py" "$results/gan" "$results/generated.npz" --packs "$packs" --size 160 \
    --classes $classes $draws
python3 "$here/experiment.py" "$packs/$packed.npz" "$results/${packed}_tables.npz" --arms tables \
    --generated "$results/generated.npz" --seconds $((seconds - share - 20))
