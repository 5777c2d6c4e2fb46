# tests/peer/images.sh -- LoRA files of image models merged, beside diffusers.
peer_python torch diffusers
peer images make .
merge() { "$LORIKEET" merge --model "$1.safetensors" --adapter "$2.safetensors" --out "$1-$2.safetensors" "${@:3}"; }
merge unet kohya --part unet && merge text kohya --part text_encoder && merge unet numbers && merge unet dotted
merge unet plain && merge unet middle && merge whole kohya
merge xl second && merge text second
peer images check .
expect_error 3 "has no tensor for 4 modules of the adapter, the first is 'lora_te_text_model_encoder_layers_0" \
    "$LORIKEET" merge --model unet.safetensors --adapter kohya.safetensors --out x.safetensors
[ ! -e x.safetensors ] || fail "a merge that failed left a file"
