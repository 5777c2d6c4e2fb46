# Golden directories on the emulated GPU: the numbers of the reference, by the CUDA kernels.
for name in llama llama_dora gemma2 granite starcoder2 neox mixtral llama_bf16_save gemma2_save gemma2_tokens phi3_olora; do
    expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/$name" --device cuda
done

# weights in blocks; in another order of threads and blocks
LRK_EMULATOR_ORDER=random:7 expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/llama_gguf_q4_k" --device cuda
