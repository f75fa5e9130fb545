#!/bin/sh
# Settings come from the environment: LR=0.2 DECAY=1e-3 sh train.sh
set -e
: "${LR:=0.2}" "${DECAY:=0}" "${NESTEROV:=false}" "${STEPS:=60}" "${SEED:=0}"
nesterov=
if [ "$NESTEROV" = true ]; then nesterov=--nesterov; fi
python fit.py --lr "$LR" --decay "$DECAY" --steps "$STEPS" --seed "$SEED" $nesterov
