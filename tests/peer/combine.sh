# tests/peer/combine.sh -- adapters combined by each method, beside PEFT's add_weighted_adapter.
peer_python torch transformers peft
G=$SOURCE/tests/golden/data/llama
make() { "$LORIKEET" combine "$G/adapter=0.7" "$G/final=-0.4" --out "$1" --method "${@:2}"; }
make svd svd --rank 3 --json >residual.json
make cat cat && make linear linear
make magnitude_prune magnitude_prune --density 0.4 && make ties ties --density 0.4
make whole_ties ties
peer combine "$G" .
