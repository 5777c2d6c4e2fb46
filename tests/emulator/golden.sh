# Golden directories on the emulated GPU: the numbers of the reference, by the CUDA kernels. With LRK_ALL_CASES=1
# those too whose kernels the others run already, which is two minutes more.
names=(starcoder2 mixtral llama_bf16_save gemma2_save phi3_olora)
[ -z "${LRK_ALL_CASES:-}" ] || names+=(llama llama_dora ministral3 gemma2 granite neox gemma2_tokens)
for name in "${names[@]}"; do
    expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/$name" --device cuda
done

# weights in blocks; in another order of threads and blocks
LRK_EMULATOR_ORDER=random:7 expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/llama_gguf_q4_k" --device cuda
