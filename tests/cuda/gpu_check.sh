# scripts/gpu-check where no GPU answers: the page says so, and the script that it was skipped.
mkdir bin
printf '#!/bin/sh\nexit 9\n' >bin/nvidia-smi # as with a card that is gone
chmod +x bin/nvidia-smi
page=$PWD/page.md
PATH=$PWD/bin:$PATH expect_exit 77 "$SOURCE/scripts/gpu-check" --out "$page"
grep -q "^Not measured: no GPU answers nvidia-smi" "$page" || fail "the page: $(cat "$page")"
expect_exit 2 "$SOURCE/scripts/gpu-check" --device 0

# the model of a step is what the committed page holds
command -v python3 >/dev/null || { echo "python3 is not here: no more is tested"; exit 0; }
python3 -B "$SOURCE/tests/bench/gpu_model.py" >model.md
cmp model.md "$SOURCE/docs/gpu-model.md" || fail "docs/gpu-model.md is not what gpu_model.py writes"

# kernels beside the rates of a card: 1 TFLOP/s and 1 GB/s make the sums easy
printf '{"copy_gb_per_s": 1.0, "product_tflop_per_s": 1.0}\n' >rates.json
printf '  rmsnorm        forward  2.283798 s   backward  0.000000 s\n' >profile
expect_exit 0 python3 -B "$SOURCE/tests/bench/gpu_roofline.py" rates.json profile SmolLM2-135M 2048 2
# the first norm of 2048 x 576 in bf16, one read and one written; 60 that add, two read and two written: 570.9 MB
grep -qF '| rmsnorm, forward | 0.0 | 570.9 | 570.950 | 1141.899 | 50 % |' out || fail "the table: $(cat out)"
expect_exit 1 python3 -B "$SOURCE/tests/bench/gpu_roofline.py" rates.json rates.json SmolLM2-135M 2048 2

# weights of random numbers in the true shapes, at a tiny size, are a model that trains
python3 -c 'import numpy' 2>/dev/null || { echo "numpy is not here: no weights are made"; exit 0; }
expect_exit 0 python3 -B "$SOURCE/tests/bench/shapes.py" tiny tiny
expect_exit 0 "$LORIKEET" bench --model tiny --train 1,16 --device cpu --dtype f32 --repeats 1
