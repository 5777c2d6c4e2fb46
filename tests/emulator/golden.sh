# Golden directories on the emulated GPU: the numbers of the reference, by the CUDA kernels.
for name in llama llama_gguf_q4_k llama_tied mistral gemma3 granite phi3 starcoder2 mixtral; do
    expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/$name" --device cuda
done

# in another order of threads and blocks the same
LRK_EMULATOR_ORDER=random:7 expect_exit 0 "$LORIKEET" verify "$SOURCE/tests/golden/data/llama" --device cuda
